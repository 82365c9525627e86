"""The work after a cache miss.

``build``        the attempts: each in a child process where that is wanted, again without the records that kill their worker
``attempt``      one attempt: stage, run the job, collect, promote
``engine``       a job on the engine of the settings; ``digesting`` is another job than the main one
``expected``     how large shards are to be
``collected/``   reads the job's results (``collect``), balances the counts, judges assertions
``manifest``     the files beside the shards; with ``facts`` for the report, and ``environment``

Beam is imported when `attempt` or `digesting` is, and nowhere else; see `runners.quiet.import_beam`.
"""
