"""Sampling: which settings the real thing is asked for on which part of which raw, and the asking."""
