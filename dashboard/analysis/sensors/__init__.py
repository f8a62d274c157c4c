"""Two sources of one vital, compared where both measured."""
