"""What a run has finished of an instance before the instance is whole, kept so that the next run of the key does not make it again.

``parts``   one part: its files and its small rows, kept, found, proved
``shards``  shards and partial statistics as parts
``keys``    the name of a part: a digest of everything that its bytes follow from
``reused``  how much of a job came from parts

::

    <root>/resume/<recipe16>-<input16>-<seed>/<name of a part>/part.json       written last: without it there is no part
                                                              /instance/...    hard links to the files of the attempt that made them
                                                              /facts/...

A part is found by its name, and its name holds a digest of the records that go into it, of the statistics applied to them, of how they
are stored, and of the environment that made it. So no decision of an earlier run is trusted: this run decides again which records belong
together, and if it decides the same, the part is there. Sizes and SHA-256 of all its files are compared before it is taken; a part that
lacks one, or holds other bytes, is made again and replaces the old one.

Two runs of a key keep the same parts with the same bytes, each under a name of its own until it is whole, so the order does not matter. A
part that another run removes between finding and linking is made again.

On a store nothing is kept twice: shards and files of sinks lie at the location of the instance already, where readers ignore them until
there is a manifest, and only the rows and the facts are put below ``resume/``. No sweep removes what a part names.
"""
