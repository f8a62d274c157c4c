"""Coupling: whether the face and a vital go together more than with others."""
