"""What straps and arm bands of Polar send beside the standard services."""
