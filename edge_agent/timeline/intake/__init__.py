"""Studies that come in from files: read row by row, staged, checked, and merged as a whole."""
