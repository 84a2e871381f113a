"""How often a small change of a raw fools a classifier under some settings of a pipeline, and not under others."""
