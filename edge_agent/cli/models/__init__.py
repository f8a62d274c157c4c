"""The commands that concern model files: listed, verified, installed, taken back."""
