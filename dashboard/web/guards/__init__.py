"""What stands between strangers and the dashboard: connections, log-ins, host names, cookies."""
