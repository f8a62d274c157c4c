"""Local sockets, by which the dashboard hears the agent."""
