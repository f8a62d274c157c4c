"""Sources of physiological readings."""
