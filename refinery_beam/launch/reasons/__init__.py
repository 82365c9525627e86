"""Why a run is a hit or a miss: the differences between a recipe, as it is now, and the nearest instance in the cache.

``difference``   one difference, as a value and as a sentence
``recipes``      two recipes in their canonical form, field by field
``inputs``       the files of now and those that input.parquet states
``nearest``      which instance to compare with
``why``          the verb
"""
