"""How answers are sent: compressed, and kept by browsers where they may."""
