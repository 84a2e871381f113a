"""Tree to IR: imports, names, types, units, ranges, registers, dataflow."""
