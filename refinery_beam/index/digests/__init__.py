"""What the content of files is called: digests of each, hints that save reading, and one hash over all."""
