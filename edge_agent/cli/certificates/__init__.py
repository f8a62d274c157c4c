"""The commands about the dashboard's certificate."""
