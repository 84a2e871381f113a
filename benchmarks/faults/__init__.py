"""Seeded faults: how many realistic mistakes in the programs of the standard library their contracts notice."""
