"""What the three implementations share besides data."""
