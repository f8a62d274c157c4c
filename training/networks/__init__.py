"""TODO training/networks."""
