"""TODO edge_agent/agent."""
