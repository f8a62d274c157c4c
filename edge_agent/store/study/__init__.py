"""Participants, consent, sessions, markers and protocol runs."""
