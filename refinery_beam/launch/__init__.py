"""From a recipe to an answer: the only room that knows all the others, and the whole of what the command line calls.

``settings``   the execution context
``prepare``    everything before the cache look-up; imports neither Beam, NumPy nor PyArrow
``related``    other instances that a recipe names
``run``        look in the cache, and build what is not there
``opening``    an instance by the recipe that made it
``pictures``   what ``Visualizations`` asks for
``build/``     everything behind a miss
"""

from refinery_beam.launch.prepare import Prepared, check_recipe, prepare, resolve
from refinery_beam.launch.run import RunResult, plan_recipe, run
from refinery_beam.launch.settings import Settings

__all__ = ["Prepared", "RunResult", "Settings", "check_recipe", "plan_recipe", "prepare", "resolve", "run"]
