"""Keeping the database well over years: copies, retention, disk budget, erasure."""
