"""What the accounts of the dashboard keep outside the database."""
