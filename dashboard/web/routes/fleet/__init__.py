"""Pages of a dashboard that shows many devices."""
