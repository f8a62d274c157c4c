"""What programs get beside the routes: problems, the description of the API, metrics."""
