"""Google Cloud Dataflow: what it must be told, and a job on it."""
