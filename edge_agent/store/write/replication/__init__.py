"""What a fleet is told of changes; without a fleet nothing is written."""
