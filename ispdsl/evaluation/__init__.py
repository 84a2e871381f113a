"""Evaluation: how far a double is from the real thing, where, and how far to believe it elsewhere."""
