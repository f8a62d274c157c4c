"""Responses: what measures do around events, by condition."""
