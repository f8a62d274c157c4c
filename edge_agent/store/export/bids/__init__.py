"""The timeline as a data set after the Brain Imaging Data Structure (bids-specification.org)."""
