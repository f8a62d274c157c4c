"""Still pictures: read, classified, explained and drawn."""
