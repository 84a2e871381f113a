"""The 32 registers behind a picture of the simulated processor, by few renders."""
