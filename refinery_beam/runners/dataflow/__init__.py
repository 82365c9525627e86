"""Google Cloud Dataflow: its options, and a job on it."""
