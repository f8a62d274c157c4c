"""From a frame to expressions."""
