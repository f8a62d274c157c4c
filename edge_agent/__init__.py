"""Affect Edge: the agent that watches, classifies, records and reports."""

__version__ = "0.1.0"
