"""Labelled faces and photographs, read from tables, folders and archives."""
