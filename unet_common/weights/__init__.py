"""Weights: their initial values, the files they travel in, and those that others have trained."""
