"""Readings from what makers of watches, straps and cuffs let their owners export.

``formats.open_export`` knows the files; each format stands in a file of its own, and is read row by
row, however large the file is.
"""
