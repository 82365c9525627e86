"""The facts of a dataset's records, and what they say of it: quality, duplicates, leaks, shortcuts, drift. No Beam.

``columns``     the columns of facts/records.parquet: their units, derived facts, how a fact is printed
``album``       which records have a thumbnail, and how albums are joined
``histograms``  counts of byte values by class, and how they are joined
``table``       the facts of an instance, row by row
``flags``       findings about single records
``near``        pairs of signatures that differ in few bits, among many
``alike``       duplicates and near duplicates, within and across splits, and their labels
``shortcuts``   facts that are not the content and tell the label
``findings``    all of it in one document, facts/findings.json
``drift``       how splits, or two instances, differ: report/drift.json

Whatever is merged is an exact whole number, and every bound on memory is a constant here.
"""
