"""TODO training/report."""
