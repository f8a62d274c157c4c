"""Studies over several sites: one reader over the databases of all."""
