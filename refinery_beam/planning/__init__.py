"""What will be done: a recipe and a plugin become frozen values that can be printed, compared, keyed and sent to workers."""
