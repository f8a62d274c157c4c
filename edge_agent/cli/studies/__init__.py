"""The commands about a study: participants, sessions and markers, of now and of the past."""
