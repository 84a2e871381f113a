"""Local Laplacian tone mapping, its three sliders recovered from finished pictures."""
