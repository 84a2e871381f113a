"""Small functions from graph to graph. Each checks what it is given and what it gives; none changes its input."""
