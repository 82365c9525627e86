"""Engines that speak Beam's portable protocol: Prism, Flink, Spark. Their job server, their workers, and a job on them."""
