"""The command that imports readings from files."""
