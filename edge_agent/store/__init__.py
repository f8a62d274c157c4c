"""The timeline in SQLite."""
