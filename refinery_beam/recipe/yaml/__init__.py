"""YAML both ways: text to a tree that knows where everything stands, and plain data to text that no reader takes for anything else."""
