"""Classification and detection on raws of dark scenes, tuned through the pipeline."""
