"""What is wrong with labelled faces: near-copies, no faces, labels that networks doubt."""
