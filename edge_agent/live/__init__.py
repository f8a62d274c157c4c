"""TODO edge_agent/live."""
