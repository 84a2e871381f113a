"""Classifiers of raws, taught by classifiers of a pipeline's pictures."""
