"""Measurements, outside of what is installed."""
