"""Training: from the samples of a run to doubles of its stages."""
