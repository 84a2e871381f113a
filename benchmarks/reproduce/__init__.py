"""Measurements that anyone can repeat with one command; their results are kept under `docs/reproduce`."""
