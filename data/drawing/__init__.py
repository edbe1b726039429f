"""Drawing images with label maps, without a window."""
