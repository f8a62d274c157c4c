"""Commands for many appliances."""
