"""An analysis in words, tables and charts. Nothing here computes."""
