"""The one training loop and all that it needs, whatever is learnt."""
