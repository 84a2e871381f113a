"""Small programs for tests of what runs programs."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from ispdsl.programs.ops import constant, pad_mirror, shift, sum_terms
from ispdsl.programs.tiling import Place

SEEN: list[dict[str, object]] = []
"""The keywords of each call of `spy`."""


MADE: list[weakref.ref[Tensor]] = []
"""The results of `remembered`, as long as anybody else holds them."""


def remembered(image: Tensor) -> Tensor:
    result = image + 1
    MADE.append(weakref.ref(result))
    return result


def blur(image: Tensor, *, strength: Tensor | float, radius: Tensor | float, shape: str) -> Tensor:
    padded = pad_mirror(image, 1)
    offsets = [(-1, 0), (1, 0), (0, -1), (0, 1)] if shape == "cross" else [(-1, -1), (1, 1), (0, 0)]
    mean = sum_terms([shift(padded, 1, *offset) for offset in offsets]) / len(offsets)
    weight = constant(strength, image) * torch.tanh(constant(radius, image))
    return image + weight * (mean - image)


def mean(image: Tensor) -> Tensor:
    return image.mean((-1, -2))


def adapt(image: Tensor, *, level: Tensor, amount: Tensor | float) -> Tensor:
    return image * (1 + constant(amount, image) * level[..., None, None])


def spy(image: Tensor, **keywords: object) -> Tensor:
    SEEN.append(keywords)
    return image


def develop(mosaic: Tensor, *, cfa: str, space: str = "none") -> Tensor:
    SEEN.append({"cfa": cfa, "space": space})
    return mosaic.expand(*mosaic.shape[:-3], 3, *mosaic.shape[-2:])


def recolour(image: Tensor, *, space: str) -> Tensor:
    SEEN.append({"space": space})
    return image


def split(image: Tensor) -> tuple[Tensor, Tensor]:
    return image[..., :1, :, :], image[..., 1:, :, :]


def add(image: Tensor, other: Tensor) -> Tensor:
    return image + other


def fails(image: Tensor) -> Tensor:
    raise ValueError("this is too much")


def one_plane(image: Tensor) -> Tensor:
    return image[..., :1, :, :]


def nothing(image: Tensor) -> None:
    return None


def no_pixels(*, ev: Tensor) -> Tensor:
    return ev


def leaves(image: Tensor) -> Tensor:
    raise SystemExit(3)


def is_interrupted(image: Tensor) -> Tensor:
    raise KeyboardInterrupt


def fails_below(image: Tensor) -> Tensor:
    return pad_mirror(fails(image), 1)


def fails_in_torch(image: Tensor) -> Tensor:
    return pad_mirror(image, "wide")  # type: ignore[arg-type]


def writes(image: Tensor) -> Tensor:
    return image.mul_(2.0)


def writes_level(image: Tensor, *, level: Tensor, amount: Tensor | float) -> Tensor:
    level[..., 0] = 0.0
    return image


def codes(image: Tensor) -> Tensor:
    return image.to(torch.uint8)


def narrow(image: Tensor) -> Tensor:
    return image.half()


def crops(image: Tensor) -> Tensor:
    return image[..., 1:, :]


def first_of_batch(image: Tensor) -> Tensor:
    return image[:1]


def adds_batch(image: Tensor) -> Tensor:
    return image[None]


def logarithm(image: Tensor) -> Tensor:
    return torch.log2(image)


def infinite(image: Tensor) -> Tensor:
    return image / torch.zeros_like(image)


def percent(image: Tensor, *, x: Tensor | float) -> Tensor:
    """Python numbers with a parameter on both sides, and a product of matrices."""
    weight = constant(x, image) * 0.3 / 0.7
    weight = weight[..., 0, 0, 0] if weight.dim() >= 3 else weight
    matrix = torch.eye(3, dtype=image.dtype) * weight[..., None, None]
    return torch.einsum("...ij,...jhw->...ihw", matrix, image)


NUMBER = 5


def lifted(image: Tensor, *, gain: Tensor | float) -> Tensor:
    return image * constant(gain, image)


def lifted_twice(image: Tensor, *, gain: Tensor | float) -> Tensor:
    return image * constant(gain, image) * 2


def shaded(image: Tensor) -> Tensor:
    """Darker towards the right of whatever it is given: position counts, and it cannot be told where it is."""
    return image * torch.linspace(1, 0, image.shape[-1])


def shaded_in_place(image: Tensor, *, place: Place | None = None) -> Tensor:
    """Darker towards the right of the whole image."""
    where = place or Place.whole(image)
    columns = torch.arange(where.left, where.left + image.shape[-1])
    return image * torch.linspace(1, 0, where.width)[columns]
