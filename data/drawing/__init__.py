"""Pictures of images with label maps, without a window."""
