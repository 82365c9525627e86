"""What `check` finds out, a module for each kind of thing; each gives rows and raises nothing."""
