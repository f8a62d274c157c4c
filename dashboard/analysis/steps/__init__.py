"""The steps of an analysis, each of which returns a whole part of the answer."""
