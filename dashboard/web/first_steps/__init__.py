"""The first steps of who sets an appliance up: what is looked at, and how far they are."""
