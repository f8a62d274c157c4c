"""Guards of the dashboard against strangers: connections, log-ins, host names, cookies."""
