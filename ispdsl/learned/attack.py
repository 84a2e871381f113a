"""A small change of raws by which a classifier fails under some settings of a pipeline, and not under others.

Tseng et al., "Neural Photo-Finishing", ACM Transactions on Graphics 41(6), 2022, section 9, equation 9: the change d
of a raw that maximises ``CE(G(f(raw + d, S1))) - CE(G(f(raw + d, S2)))`` within ``||d||_2 < e``, with G a classifier,
f the pipeline, S1 the settings that are attacked and S2 those that are spared. They climb with Adam; here it is
projected gradient ascent along normalised gradients (Madry et al., "Towards deep learning models resistant to
adversarial attacks", ICLR 2018), as the slope of a classifier that is sure of itself is next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.learned.fit import Recipe, Told, fit

Look = Callable[[Tensor], Tensor]
"""From sensor codes ``(B, C, H, W)`` to logits ``(B, classes)``, with gradients."""

PAPER = 0.3
"""The bound of section 9, in units of black to white."""

SIDE = 224
"""Height and width in samples of the raw that `PAPER` is taken to be of: what classifiers of ImageNet look at. The
paper does not say."""

STEPS, RATE = 40, 0.05
"""Of the ascent; the rate is a part of the bound, and momentum makes a step of up to ten times as much."""

ENOUGH = 8.0
"""Nats of loss that are enough under the attacked settings."""

HALVINGS = 12
"""By which the largest part of a change is found that is within the bound once it is rounded."""


@dataclass(frozen=True)
class Bound:
    """How large a change may be, in units of black to white: its length, or its largest sample.

    Raises:
        ValueError: the size is not above 0.
    """

    size: float
    norm: Literal["l2", "linf"] = "l2"

    def __post_init__(self) -> None:
        if not 0 < self.size < math.inf:
            raise ValueError(f"a bound is above 0, not {self.size:g}")

    def of(self, change: Tensor) -> Tensor:
        """How large changes ``(B, C, H, W)`` are: ``(B,)``."""
        flat = change.flatten(1)
        return flat.norm(dim=1) if self.norm == "l2" else flat.abs().amax(1)

    def within(self, change: Tensor) -> Tensor:
        """The nearest change within the bound."""
        if self.norm == "linf":
            return change.clamp(-self.size, self.size)
        return change * (self.size / self.of(change).clamp(min=self.size))[:, None, None, None]

    def uphill(self, slope: Tensor) -> Tensor:
        """The change of size 1 that goes up the steepest; nothing where there is no slope."""
        if self.norm == "linf":
            return slope.sign()
        length = self.of(slope)[:, None, None, None]
        return torch.where(length > 0, slope / length.clamp(min=torch.finfo(slope.dtype).tiny), 0.0)


def scaled(size: float, samples: int) -> float:
    """The L2 bound of a raw of so many samples that changes each as much as `size` does in one of `SIDE` x `SIDE`."""
    return size * math.sqrt(samples) / SIDE


def span(black: Tensor, white: Tensor, like: Tensor) -> Tensor:
    """Codes from black to white at every sample ``(1, C, H, W)`` of raws like this.

    Args:
        black: ``(4,)``, at the 2x2 sites in reading order; of raws with three samples a site R, G, B, G.
        white: ``()``.
        like: ``(B, C, H, W)``, C = 1 for a mosaic.
    """
    width = (white - black).to(like)
    if like.shape[1] == 1:
        height, columns = like.shape[-2:]
        tiles = width.reshape(1, 1, 2, 2).repeat(1, 1, -(-height // 2), -(-columns // 2))
        return tiles[..., :height, :columns]
    return width[: like.shape[1], None, None].expand(1, *like.shape[1:])


@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack found.

    Attributes:
        raws: changed sensor codes ``(B, C, H, W)``.
        size: of each change in the bound's norm, ``(B,)``.
        fooled: whether the classifier failed under the attacked settings, ``(B,)``, before rounding.
        spared: whether it was right under the others, or there are none.
        gain: what equation 9 came to, in nats.
    """

    raws: Tensor
    size: Tensor
    fooled: Tensor
    spared: Tensor
    gain: Tensor


class _Change(nn.Module):
    """The change of some raws, and the best that was met for each: first what fools and spares, then what gains."""

    def __init__(self, raws: Tensor, span: Tensor, white: float, bound: Bound) -> None:
        super().__init__()
        self.bound = bound
        self.register_buffer("raws", raws)
        self.register_buffer("span", span)
        self.register_buffer("top", raws.clamp(min=white))
        self.register_buffer("found", torch.zeros_like(raws))
        self.register_buffer("score", torch.full_like(raws[:, 0, 0, 0], -math.inf))
        for name in ("fooled", "spared"):
            self.register_buffer(name, torch.zeros(len(raws), dtype=torch.bool, device=raws.device))
        self.register_buffer("gain", torch.zeros_like(raws[:, 0, 0, 0]))
        self.free = nn.Parameter(torch.zeros_like(raws))
        self.free.register_hook(bound.uphill)

    def forward(self) -> Tensor:
        """The codes of the changed raws; what has left the bound or the legal codes is brought back first."""
        raws, span = self.get_buffer("raws"), self.get_buffer("span")
        with torch.no_grad():
            codes = self._legal(raws + self.bound.within(self.free) * span)
            self.free.copy_((codes - raws) / span)
        return raws + self.free * span

    def _legal(self, codes: Tensor) -> Tensor:
        return codes.clamp(min=0).minimum(self.get_buffer("top"))

    @torch.no_grad()
    def keep(self, gain: Tensor, fooled: Tensor, spared: Tensor) -> None:
        """Remember the change that stands where it is better than what was met before."""
        aim = fooled & spared
        score = gain + torch.where(aim, 1e6, 0.0)
        better = score > self.get_buffer("score")
        new = {"found": self.free, "score": score, "gain": gain, "fooled": fooled, "spared": spared}
        for name, value in new.items():
            known = self.get_buffer(name)
            known[better] = value.detach().to(known.dtype)[better]

    @torch.no_grad()
    def codes(self, rounded: bool) -> Tensor:
        """The best found; whole codes are the largest part of it that rounding leaves within the bound."""
        raws, span, found = (self.get_buffer(name) for name in ("raws", "span", "found"))
        if not rounded:
            return self._legal(raws + found * span)
        low, high = torch.zeros_like(raws[:, :1, :1, :1]), torch.ones_like(raws[:, :1, :1, :1])
        part = high
        for _ in range(HALVINGS):
            change = (self._legal(raws + part * found * span).round() - raws) / span
            fits = (self.bound.of(change) <= self.bound.size)[:, None, None, None]
            low, high = torch.where(fits, part, low), torch.where(fits, high, part)
            part = torch.where(fits & (high == 1), high, (low + high) / 2)
        return self._legal(raws + low * found * span).round()


def attack(
    raws: Tensor,
    labels: Tensor,
    against: Look,
    sparing: Look | None,
    levels: tuple[Tensor, Tensor],
    bound: Bound,
    *,
    steps: int = STEPS,
    enough: float = ENOUGH,
    rounded: bool = True,
    told: Callable[[Told], None] | None = None,
) -> Attacked:
    """Change raws within a bound so that a classifier fails under some settings and not under others.

    Args:
        raws: sensor codes ``(B, C, H, W)``, of one size and one kind of camera; whole where the answer is `rounded`.
        labels: true classes ``(B,)``.
        against: the pipeline at the attacked settings, and the classifier.
        sparing: the same at the settings that are spared; None for an attack that spares none.
        levels: black ``(4,)`` and white ``()`` of the codes.
        bound: of each raw's change, in units of black to white.
        steps: of the ascent.
        enough: nats of loss under the attacked settings beyond which no more is gained: what is left of the change then
            makes the spared ones sure, which outlives a real thing that is a little different. Infinite as in the
            paper, and where nothing is spared.
        rounded: give whole codes, shrinking a change a little where rounding would lead out of the bound.
        told: called after each step.

    Returns:
        The best of all steps for each raw: one that fools and spares before one that does not, then by equation 9.
        Codes stay within 0 and white, or what a raw had above it. Without a slope nothing is changed.

    Raises:
        RunError: black is not below white; logits are no ``(B, classes)`` or not finite.
    """
    black, white = levels
    if not bool((black < white).all()):
        raise RunError(f"black {black.tolist()} is not below white {float(white):g}", "mend the raw's levels")
    change = _Change(raws, span(black, white, raws), float(white), bound)

    def measured(codes: Tensor) -> Tensor:
        lost, fooled = _judged(against(codes), labels)
        kept, wrong = _judged(sparing(codes), labels) if sparing else (torch.zeros_like(lost), torch.zeros_like(fooled))
        gain = (lost.clamp(max=enough) if sparing else lost) - kept
        change.keep(gain.detach(), fooled, ~wrong)
        return gain

    def loss(step: int, generator: torch.Generator) -> Tensor:
        return -measured(change()).sum()

    recipe = Recipe(steps, RATE * bound.size, "sgd", last=0.1)
    fit(change, loss, recipe, told=told)
    with torch.no_grad():
        measured(change())
        codes = change.codes(rounded)
        size = bound.of((codes - raws) / change.get_buffer("span"))
    return Attacked(codes, size, *(change.get_buffer(name) for name in ("fooled", "spared", "gain")))


def _judged(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats, in double precision so that its slope outlives certainty, and what is told wrong."""
    if logits.dim() != 2 or len(logits) != len(labels):
        raise RunError(f"the classifier gives {tuple(logits.shape)}", f"logits are ({len(labels)}, classes)")
    if not bool(logits.isfinite().all()):
        raise RunError("the classifier gives numbers that are not finite")
    if int(labels.max()) >= logits.shape[1]:
        what = f"label {int(labels.max())} is none of the classifier's {logits.shape[1]} classes"
        raise RunError(what, f"labels are 0 to {logits.shape[1] - 1}")
    return F.cross_entropy(logits.double(), labels, reduction="none"), logits.detach().argmax(1) != labels
