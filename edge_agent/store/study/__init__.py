"""Participants, consent, sessions, markers and protocol runs.

Example:
    >>> Study(path).start_session("P01", Purpose.RESEARCH, "films")
"""
