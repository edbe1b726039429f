"""Datasets, augmentation and pipelines: what all three implementations read."""
