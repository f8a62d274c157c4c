"""The level of every test and of every interval. Loads nothing."""

from __future__ import annotations

ALPHA = 0.05
"""How often a test may find what is not there."""
LEVEL = 1 - ALPHA
"""How often an interval holds the true value."""
