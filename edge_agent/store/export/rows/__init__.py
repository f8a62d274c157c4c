"""The rows of an export: which are chosen, their columns, cells and types."""
