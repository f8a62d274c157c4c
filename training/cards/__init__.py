"""A card for a TFLite file that was made elsewhere, so that the agent takes it."""
