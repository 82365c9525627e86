"""Which records may never be parted, and which split each of them gets: plain functions of refs, without Beam."""
