"""Statistics in a process of their own, which ends when nobody asks any more."""
