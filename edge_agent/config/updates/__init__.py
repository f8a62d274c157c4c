"""The section ``[updates]``."""
