"""The way from a case as its file has it to what a network sees: spacing, intensities, positions, regions."""
