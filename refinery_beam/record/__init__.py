"""The life of one record, without Beam: the bytes of a file become content, content goes through steps, then a row, rows a shard."""
