"""The section ``[fleet]``."""
