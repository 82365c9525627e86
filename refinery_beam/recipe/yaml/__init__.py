"""YAML both ways: text to a tree with positions, and plain data to text that every reader reads as the same data."""
