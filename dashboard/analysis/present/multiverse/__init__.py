"""A multiverse as programs and people get it."""
