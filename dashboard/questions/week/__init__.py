"""The question how one participant’s week went, and what is unlike the own weeks before."""
