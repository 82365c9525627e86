"""Compiles a recipe and a plugin to a plan: frozen values that can be printed, compared, keyed and sent to workers."""
