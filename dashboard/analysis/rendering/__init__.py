"""Words, tables and pictures of a decided analysis. No figure is computed here."""
