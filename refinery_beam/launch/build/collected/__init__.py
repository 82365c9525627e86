"""What a finished job left in its work folder: read back, counted against what went in, and judged."""
