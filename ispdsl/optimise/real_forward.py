"""Real forward, proxy backward: a real thing inside of a torch graph, with the derivatives of its double.

picture = real_forward(ask, double)        # ask: what the real thing renders, double: what torch can differentiate
loss = (picture(x) - target).square().mean()
loss.backward()                            # x.grad, through the double at x; the loss is the real thing's

Every pass that descends by gradients can so be held to what the real thing does: values are never the double's.
Source: Tseng et al., "Hyperparameter Optimization in Black-box Image Processing using Differentiable Proxies", ACM
Transactions on Graphics 38(4), 2019, descend on the double alone; here its derivatives are taken where the real thing
is, as straight-through estimators do (Bengio, Leonard and Courville 2013, arXiv:1308.3432).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ask = Callable[[NDArray[np.float64]], NDArray[np.floating[Any]]]
"""What the real thing gives at numbers of any shape."""


def real_forward(ask: Ask, double: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of tensors whose values are the real thing's and whose derivatives are its double's.

    Args:
        ask: the real thing; asked once for each call.
        double: from the same tensor to a tensor of the same shape, differentiable.

    Returns:
        A function that takes a tensor and gives what the real thing gave, in the tensor's dtype and on its device.

    Raises:
        ValueError: by the function: real thing and double give different shapes.
    """

    def both(x: Tensor) -> Tensor:
        with torch.enable_grad():
            here = x.detach().requires_grad_()
            believed = double(here)
        return _Real.apply(x, ask, here, believed)

    return both


class _Real(torch.autograd.Function):
    """Torch's own way to say what a backward pass is; there is no function for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ask: Ask, here: Tensor, believed: Tensor) -> Tensor:
        answer = torch.as_tensor(np.ascontiguousarray(ask(x.detach().cpu().double().numpy())))
        if answer.shape != believed.shape:
            shapes = f"{tuple(answer.shape)}, and its double {tuple(believed.shape)}"
            raise ValueError(f"the real thing gives {shapes}")
        ctx.here, ctx.believed = here, believed
        return answer.to(believed)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, None, None, None]:
        (slope,) = torch.autograd.grad(ctx.believed, ctx.here, slopes[0], retain_graph=True, allow_unused=True)
        return slope, None, None, None
