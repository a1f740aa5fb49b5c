"""Measurements of the package; run from the repository's root, not installed with it."""
