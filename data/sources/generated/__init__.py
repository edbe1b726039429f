"""Data sets that are computed: nothing to download, and exact labels."""
