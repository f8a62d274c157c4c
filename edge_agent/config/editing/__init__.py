"""Changing the configuration file from a program: what may be changed, how, and safely."""
