"""Stands in for PsychoPy where it is not installed: what docs/control.md uses of it."""
