"""The camera's picture for an administrator, for a minute at a time; it is only streamed."""
