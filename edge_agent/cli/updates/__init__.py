"""The commands about newer releases."""
