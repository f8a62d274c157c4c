"""The parts of the answer that have pages of their own in the documentation of the interface."""
