"""The sections about other programs of a laboratory: ``[lsl]`` and ``[control]``."""
