"""The quality report of a session: counts, checks, and what to do."""
