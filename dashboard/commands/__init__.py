"""What ``python -m dashboard`` does without a browser."""
