"""Passes that train a network through a compiled pipeline: prediction, style, front ends, attack, distillation."""
