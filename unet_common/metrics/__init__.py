"""How good is a segmentation? Scores of label maps, in NumPy, SciPy and scikit-image only."""
