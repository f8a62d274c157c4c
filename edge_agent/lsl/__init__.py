"""TODO edge_agent/lsl."""
