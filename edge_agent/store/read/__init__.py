"""Reading the timeline beside a running agent."""
