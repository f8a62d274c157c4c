"""The question how far two sources of one vital agree."""
