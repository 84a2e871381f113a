"""Proxies: networks that are trained to stand in for a stage, or for a whole pipeline."""
