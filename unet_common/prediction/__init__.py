"""The way from trained weights and images of any size to probabilities, label maps and files."""
