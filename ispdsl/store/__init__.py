"""Run directories: what was sampled, trained and measured, kept so that nothing that was acknowledged is lost."""
