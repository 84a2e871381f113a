"""What a compiled pipeline works on: frames, settings, pictures."""
