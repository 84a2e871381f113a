"""Searchers on noisy functions of twenty numbers."""
