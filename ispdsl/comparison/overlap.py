"""Which parts of two images show the same: all of them, or the middle where a program cut its border off."""

from __future__ import annotations

from dataclasses import dataclass

from ispdsl.errors import UserError
from ispdsl.runtime.spaces import Floats

WIDEST_BORDER = 64
"""Pixels that a program may cut off at a side; images whose sizes differ by more are not the same picture."""

Size = tuple[int, int]


class IncomparableError(UserError):
    """Two images cannot be compared: their planes or sizes differ too much."""


@dataclass(frozen=True)
class Overlap:
    """The common part: where it begins in each image (row, column), and its size."""

    first: Size
    second: Size
    size: Size
    note: str = ""
    """What was left out, for the user; empty where the images are of one size."""

    def cut(self, first: Floats, second: Floats) -> tuple[Floats, Floats]:
        """The common parts of the images."""
        height, width = self.size
        (top, left), (other_top, other_left) = self.first, self.second
        return (
            first[:, top : top + height, left : left + width],
            second[:, other_top : other_top + height, other_left : other_left + width],
        )


def overlap(first: tuple[int, ...], second: tuple[int, ...], *, mosaic: bool = False, border: int = 0) -> Overlap:
    """The centred part that two images have in common.

    Args:
        first: shape `(C, H, W)`.
        second: likewise.
        mosaic: whether the images have a CFA, whose sites must keep their places.
        border: pixels to leave out at each side of the common part as well.

    Raises:
        IncomparableError: other numbers of planes, sizes that no border of at most `WIDEST_BORDER` explains, a mosaic
            whose sites would be shifted, or a border that leaves nothing.
    """
    sizes = f"{first[2]} x {first[1]} and {second[2]} x {second[1]} px"
    if first[0] != second[0]:
        raise IncomparableError(f"{first[0]} and {second[0]} planes are not comparable")
    apart = [one - two for one, two in zip(first[1:], second[1:], strict=True)]
    if max(map(abs, apart)) > 2 * WIDEST_BORDER:
        hint = f"only borders of at most {WIDEST_BORDER} px a side are cut to the common part"
        raise IncomparableError(f"sizes differ: {sizes}", hint)
    if mosaic and any(difference % 4 for difference in apart):
        raise IncomparableError(f"sizes differ: {sizes}", "the sites of one mosaic would not lie on those of the other")
    height, width = (min(pair) - 2 * border for pair in zip(first[1:], second[1:], strict=True))
    if min(height, width) < 1:
        raise IncomparableError(f"a border of {border} px leaves nothing of {sizes}", "leave out a smaller --border")
    top, left = (max(0, difference) // 2 + border for difference in apart)
    other_top, other_left = (max(0, -difference) // 2 + border for difference in apart)
    return Overlap((top, left), (other_top, other_left), (height, width), _note(sizes, apart, (height, width)))


def _note(sizes: str, apart: list[int], size: Size) -> str:
    if not any(apart):
        return ""
    half = "; by half a pixel off its centre, as a side differs by an odd number" if any(n % 2 for n in apart) else ""
    return f"sizes differ, {sizes}: compared the centred {size[1]} x {size[0]} px{half}"
