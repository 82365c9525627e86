"""What the tests of several rooms share: recipes, image sets, instances written by hand, servers and engines. `pyproject.toml` puts the
folder above on the path of pytest and of its workers (`pythonpath`), so a test of any room says ``from support.recipes import recipe``.
"""
