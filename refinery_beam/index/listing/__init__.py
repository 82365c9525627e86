"""Lists the files that a source selects, with the label and partition that follow from their paths."""
