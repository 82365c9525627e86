"""The life of one record, without Beam: bytes of a file become content, content goes through steps and becomes a row, rows a shard."""
