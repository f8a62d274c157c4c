"""What deleted rows leave behind in files, and how it goes."""
