"""The plan as PTransforms. Only this package and `runners` import Beam; the modules that do the work (`work`, `shard`, `quotas`) do not."""
