"""Finding faces in frames and following them over frames."""
