"""Protocols: what a participant is shown, for how long and in which order.

Run by itself on two pages.
"""
