"""Who may use the dashboard: accounts, logins and tokens."""
