"""Ground floor of every room: frozen value types, errors, both clocks, threads, and the registry of
vitals.
"""
