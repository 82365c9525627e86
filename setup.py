"""All metadata is in pyproject.toml. Beam stages a source distribution to its workers by running this file."""

from setuptools import setup

setup()
