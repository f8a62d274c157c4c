"""TODO edge_agent/control."""
