"""Where labels come from: a table, a path, a folder or a loader."""
