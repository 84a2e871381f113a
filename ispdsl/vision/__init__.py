"""Vision models as tasks: what a classifier or a detector makes of pictures, as numbers to tune a pipeline by."""
