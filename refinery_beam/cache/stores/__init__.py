"""Stores of instances: a folder, or a URL of an object store, and the few operations that both must offer."""
