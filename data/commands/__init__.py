"""The commands of `python -m data`: check, show, pack, fetch."""
