"""Readings that count, with the state they belong to: from the timeline to means."""
