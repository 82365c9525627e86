"""Where a plan runs.

``options``       which engine, and what is refused; without Beam, as is ``dataflow.options``
``local``         Beam's local engine
``portable/``     Prism, Flink and Spark
``dataflow/``     Google Cloud Dataflow
``quiet``         Beam without its own words
``progress``      the live line
"""
