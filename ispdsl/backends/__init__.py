"""What a plan becomes: the differentiable composite."""
