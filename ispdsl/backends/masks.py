"""Comparisons of masks as exclusive or.

inductor (2.13 and before) works out masks that follow from places, as of even rows and columns, as formulas, and stops
at ``even_rows == even_columns``, since its formulas compare numbers alone. ``~(a ^ b)`` is the same and passes.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

aten = torch.ops.aten


def rewrite_mask_comparisons(graph: fx.Graph) -> int:
    """Rewrite ``==`` and ``!=`` between two masks of an aten graph in place, and say how many there were."""
    kinds = (aten.eq.Tensor, aten.ne.Tensor)
    found = [node for kind in kinds for node in graph.find_nodes(op="call_function", target=kind)]
    chosen = [node for node in found if all(map(_is_mask, node.args[:2]))]
    for node in chosen:
        with graph.inserting_before(node):
            differs = graph.call_function(aten.bitwise_xor.Tensor, node.args[:2])
            same = graph.call_function(aten.bitwise_not.default, (differs,)) if node.target == kinds[0] else differs
        for new in (differs, same):
            new.meta.update(node.meta)
        node.replace_all_uses_with(same)
        graph.erase_node(node)
    return len(chosen)


def _is_mask(node: object) -> bool:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return isinstance(value, Tensor) and value.dtype == torch.bool
