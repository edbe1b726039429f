"""Scores of label maps, in NumPy, SciPy and scikit-image only."""
