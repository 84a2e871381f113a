"""Slider regression: the settings behind a picture, against the number of real calls."""
