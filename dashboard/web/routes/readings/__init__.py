"""Readings by hand, from files, and from programs."""
