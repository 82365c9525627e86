"""Reads the results of a finished job from its work folder, balances its counts and judges its assertions."""
