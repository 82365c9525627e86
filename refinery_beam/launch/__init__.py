"""From a recipe to an answer: the only room that knows all the others, and the whole of what the command line calls.

``prepare`` is the way up to the cache look-up and imports neither Beam, NumPy nor PyArrow on its own; ``build`` is everything
behind a miss.
"""

from refinery_beam.launch.prepare import Prepared, Settings, check_recipe, prepare, resolve
from refinery_beam.launch.run import RunResult, plan_recipe, run

__all__ = ["Prepared", "RunResult", "Settings", "check_recipe", "plan_recipe", "prepare", "resolve", "run"]
