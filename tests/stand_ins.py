"""Small programs for tests of what runs programs."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from ispdsl.programs.ops import constant, pad_mirror, shift, sum_terms

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


NUMBER = 5
