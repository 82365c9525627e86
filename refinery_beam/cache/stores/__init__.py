"""The places that keep instances, and the little they must be able to do: a folder, a URL of an object store."""
