"""Two instruments that measured the same: limits of agreement, intraclass correlation."""
