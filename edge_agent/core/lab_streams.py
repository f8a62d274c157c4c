"""The names by which streams of an appliance are known in the Lab Streaming Layer. No I/O."""

PREFIX = "AffectEdge"
"""Begins the name of each of our streams."""
MAKER = "Affect Edge"
"""Manufacturer in their descriptions."""
EXPRESSION = "Expression"
MOVEMENTS = "Movements"
"""Content types of the streams of a face."""
