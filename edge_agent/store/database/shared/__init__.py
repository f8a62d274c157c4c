"""Rights of the files that agent and dashboard, which run as two users, both work with."""
