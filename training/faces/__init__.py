"""Training of the face detector, and what the face crop is measured from."""
