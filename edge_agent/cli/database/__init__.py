"""Commands about the database file."""
