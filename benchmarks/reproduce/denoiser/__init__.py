"""A denoiser's numbers, whole numbers and names tuned for noisy photographs, by few calls."""
