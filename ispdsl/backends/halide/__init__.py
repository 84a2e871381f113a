"""A second lowering: pipelines as Halide programs for fast inference on CPUs, made of the same torch functions.

`compiled.lower` is the way in. The package `halide` must be installed (``pip install halide``).
"""
