"""The heart between its beats: variability of each person and state, and tests of it."""
