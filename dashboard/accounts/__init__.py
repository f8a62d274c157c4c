"""Access to the dashboard: accounts, logins and tokens."""
