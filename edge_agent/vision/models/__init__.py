"""Model files: the card beside each, and the file in the runtime."""
