"""Where physiological readings come from."""
