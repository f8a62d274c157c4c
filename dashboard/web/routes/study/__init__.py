"""Participants, sessions, their quality and summaries, and erasure."""
