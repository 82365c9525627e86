"""Groups of records that splits never divide, and the split of each record: plain functions of refs, without Beam."""
