"""Where a plan runs. Importing a module of this package imports Beam, but for `options`."""
