"""The result of a question under every set of defensible choices (a multiverse)."""
