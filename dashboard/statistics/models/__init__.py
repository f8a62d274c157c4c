"""Models that are fitted step by step, and what they are made of."""
