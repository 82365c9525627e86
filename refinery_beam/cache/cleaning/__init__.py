"""`clean`: what of a cache root may go.

``policy``   decides, from facts alone: a pure function
``found``    gathers the facts: instances, and what runs that are over left behind
``remove``   removes one thing, after it has looked once more
"""
