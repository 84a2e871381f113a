"""The differentiable torch programs that the stage definitions in ``stdlib/`` name."""
