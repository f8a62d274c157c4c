"""The heart by its intervals between beats: artefacts, variability, rhythm of the breath."""
