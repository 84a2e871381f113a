"""J^T J and J^T r of a pointwise pipeline in one pass over its pixels: `fused.fused` is the way in."""
