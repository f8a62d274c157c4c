"""From the timeline to a family of tests."""
