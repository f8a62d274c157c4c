"""Exports that the dashboard makes: of one device, or of several as sites of one study."""
