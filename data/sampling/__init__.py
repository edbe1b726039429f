"""Training samples: crops, augmentation, soft labels."""
