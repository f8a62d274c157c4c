"""The configuration in the browser: what holds, what may be changed, and how it is written."""
