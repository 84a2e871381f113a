"""The resolved form of a pipeline: types, units, parameters and the model that holds them."""
