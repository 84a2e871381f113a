"""Programs that do not do what they were asked to."""
