"""Alerts in the dashboard: those that stand, for every page, and the watch over the agent."""
