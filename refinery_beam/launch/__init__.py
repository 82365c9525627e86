"""From a recipe to an answer: the only room that knows all the others. Each verb of the command line is a function here.

``options``    what a caller may say, every option once
``settings``   the execution context: the options, checked, and what this package adds
``prepare``    everything before the cache look-up; imports neither Beam, NumPy nor PyArrow
``related``    other instances that a recipe names
``run``        look in the cache, and build what is not there
``plan``, ``validate``, ``status`` (and ``verify``), ``init`` (and ``schema``), ``opening``    the other verbs
``pictures``   what ``Visualizations`` asks for, and ``draw``
``build/``     everything behind a miss
"""

from refinery_beam.launch.prepare import Prepared, check_recipe, prepare
from refinery_beam.launch.run import RunResult, run
from refinery_beam.launch.settings import Settings

__all__ = ["Prepared", "RunResult", "Settings", "check_recipe", "prepare", "run"]
