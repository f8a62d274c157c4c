"""Certificates that the owner brings, and how a pair of files is replaced."""
