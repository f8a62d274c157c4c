"""What the tests that send damaged files have in common."""
