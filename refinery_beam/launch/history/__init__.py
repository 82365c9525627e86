"""What is known of runs afterwards: what a run notes about itself, and the verbs that ask.

``record``   the facts that a run puts into the journal, from its beginning to its end
``meter``    seconds by phase and memory, measured across the fork of a run
``git``      the revision that a recipe was run from
``log``      `log`, `log show` and `journal`
``rerun``    `rerun`
"""
