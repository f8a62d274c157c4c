"""The camera for people: its switch, and its picture for an administrator."""
