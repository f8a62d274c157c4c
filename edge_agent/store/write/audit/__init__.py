"""The audit trail: lines that are sealed one after the other."""
