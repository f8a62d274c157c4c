"""One connection to a broker: what it is made of, how it is opened, and why it ended."""
