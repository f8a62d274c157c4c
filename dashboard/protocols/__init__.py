"""Protocols: what a participant is shown, for how long and in which order; run by itself on two pages."""
