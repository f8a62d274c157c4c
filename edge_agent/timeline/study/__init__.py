"""Participants, consent, sessions, markers and protocol runs.

Example:
    >>> new = NewSession("P01", Purpose.RESEARCH, "films")
    >>> Study(path).start_session(new, actor="ada")
"""
