"""A front end that demosaics and denoises, trained through photo finishing, against the default demosaic."""
