"""Sums of readings: what means are made of."""
