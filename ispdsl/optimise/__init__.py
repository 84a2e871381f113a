"""Optimisers: what is free, what is measured, and who searches."""
