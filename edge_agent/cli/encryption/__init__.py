"""The commands about the encrypted data folder."""
