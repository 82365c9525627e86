"""What one finds out of finished instances: records by what is known of them, one record with its pictures, what differs between two.

Reads manifests, facts and stored rows in bounded memory; knows no recipe that was not run, and no Beam.
"""
