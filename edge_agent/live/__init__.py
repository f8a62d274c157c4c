"""The agent's live feed and preview: local sockets by which the dashboard hears and sees it."""
