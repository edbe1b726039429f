"""Figures of trainings and predictions, as PNG files."""
