"""TODO dashboard/analysis/say."""
