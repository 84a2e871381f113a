"""A classifier that looks at raws: the mosaic filled up to three planes, each colour as the network knows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.programs.demosaic import bilinear
from ispdsl.vision.classification import at_size

COLOURS = "rgb"


@dataclass(frozen=True)
class Levels:
    """Mean and standard deviation of red, green and blue."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]


def levels_of_mosaics(mosaics: Tensor, cfa: str) -> Levels:
    """Of the sites of each colour of mosaics ``(N, 1, H, W)``, in their codes; Schwartz et al. 2021, section 3."""
    found = [torch.cat([part.flatten() for part in _sites(mosaics, cfa, colour)]).double() for colour in COLOURS]
    return _levels(found)


def levels_of_pictures(pictures: Tensor) -> Levels:
    """Of the planes of pictures ``(N, 3, H, W)``."""
    return _levels([pictures[:, plane].double() for plane in range(3)])


def _levels(values: list[Tensor]) -> Levels:
    mean = tuple(float(each.mean()) for each in values)
    spread = tuple(max(float(each.std()), 1e-6) for each in values)
    return Levels(mean, spread)


def _sites(mosaics: Tensor, cfa: str, colour: str) -> list[Tensor]:
    return [mosaics[..., site // 2 :: 2, site % 2 :: 2] for site in range(4) if cfa[site] == colour]


class Student(nn.Module):
    """Mosaics ``(B, 1, H, W)`` in codes to logits ``(B, classes)``."""

    def __init__(self, network: nn.Module, cfa: str, raw: Levels, known: Levels, side: int | None = None) -> None:
        """Put a network behind a mosaic.

        Args:
            network: from pictures ``(B, 3, H, W)`` to logits; it may hold a teacher's weights.
            cfa: of the mosaics, a Bayer array.
            raw: of the training mosaics.
            known: what each colour has in the pictures that the network knows; mosaics are brought to them.
            side: px that filled mosaics are brought to, by means over equal areas; None leaves them.

        Raises:
            RunError: the CFA is no Bayer array.
        """
        super().__init__()
        if sorted(cfa) != ["b", "g", "g", "r"]:
            raise RunError(
                f"a student looks at Bayer mosaics, not at {cfa}", "take raws of a camera with such a sensor"
            )
        self.network, self.cfa, self.side = network, cfa, side
        scale = torch.tensor(known.spread) / torch.tensor(raw.spread)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("offset", (torch.tensor(known.mean) - torch.tensor(raw.mean) * scale)[:, None, None])
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, mosaics: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.network(self.filled(mosaics))

    def filled(self, mosaics: Tensor) -> Tensor:
        """What the network sees of mosaics ``(B, 1, H, W)``: three planes with the levels that it knows."""
        planes = bilinear(mosaics, cfa=self.cfa) * self.get_buffer("scale") + self.get_buffer("offset")
        return planes if self.side is None else at_size(planes, self.side)

    @property
    def groups(self) -> dict[str, nn.Module]:
        """The network's parts that have weights, in their order, by name."""
        children = self.network.named_children()
        return {name: child for name, child in children if any(True for _ in child.parameters())}

    def freeze(self, first: int = 0, last: int = 0) -> None:
        """Train all but so many of the first and last `groups`; what is frozen keeps its running statistics too.

        Raises:
            RunError: that would leave nothing.
        """
        groups = list(self.groups.values())
        if first + last >= len(groups) or min(first, last) < 0:
            names = ", ".join(self.groups)
            raise RunError(f"of {len(groups)} groups {first} and {last} cannot be frozen", f"they are {names}")
        self._frozen = (*groups[:first], *groups[len(groups) - last :])
        self.requires_grad_(True)
        for group in self._frozen:
            group.requires_grad_(False)

    def train(self, mode: bool = True) -> Student:
        """As `nn.Module.train`, but what is frozen stays as it is used."""
        super().train(mode)
        for group in self._frozen:
            group.eval()
        return self
