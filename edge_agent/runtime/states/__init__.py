"""What is known now, for who looks on: the state of each second, and what Home Assistant shows."""
