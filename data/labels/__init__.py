"""Label maps, and what the outputs of a network mean: classes, sets of classes, soft labels."""
