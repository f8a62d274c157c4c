"""Summaries and events for a broker."""
