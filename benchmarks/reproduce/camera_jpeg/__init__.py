"""The camera's own JPEG: the sliders that make a pipeline look like it."""
