"""Tests of the readings, and what is checked beside them. Pure."""
