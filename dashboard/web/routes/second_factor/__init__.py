"""The second factor: its code at the login, and the account's owner turning it on and off."""
