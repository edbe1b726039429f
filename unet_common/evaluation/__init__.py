"""Scores of predictions as tables and reports, after a training or beside it."""
