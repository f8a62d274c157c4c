"""Studies that come in as a BIDS data set: ours, or another laboratory's."""
