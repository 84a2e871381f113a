"""What `ispdsl run --doubles` says of how far to believe the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ispdsl.darkroom import Development
    from ispdsl.evaluation.features import Outside
    from ispdsl.evaluation.trust import Belief, Trust

SEEN = 1 << 23
"""Pixels of a frame of which all taps are kept for the figure; of larger ones it knows settings and input alone."""


WIDE = 30.0
"""Of an interval in dB: a figure that is less sure says nothing."""


@dataclass(frozen=True)
class Believed:
    """The trust figure of doubles, or why there is none."""

    figure: Trust | None
    why: str = ""
    members: tuple[Path, ...] = ()
    """Folders of the further members of an ensemble, where the figure asks how far they are apart."""

    @property
    def watches(self) -> bool:
        """Whether the figure asks what the doubles made at each tap."""
        return self.figure is not None and self.figure.seen is not None


def believed(doubles: Path) -> Believed:
    """The trust figure of a run or a folder of doubles."""
    from ispdsl.evaluation.trust import TrustError
    from ispdsl.evaluation.trust_file import members, place, trust

    try:
        figure = trust(doubles)
        path = place(doubles)
        further = members(path.parent) if path is not None and figure.ensemble is not None else ()
        return Believed(figure, members=further)
    except TrustError as error:
        return Believed(None, f"{error.message}: {error.hint}" if error.hint else error.message)


def of(
    found: Believed, development: Development, members: Sequence[Development] = ()
) -> tuple[str, dict[str, Any] | None]:
    """What to say of a development in one line, and the same for a program, nothing where there is no figure.

    `members` are developments of the same by the further members of an ensemble.
    """
    from ispdsl.errors import UserError

    if found.figure is None:
        return found.why, None
    absent = sorted({name for name in found.figure.doubles if "/" not in name} - set(development.doubles))
    if absent:
        return f"no error is foretold: the trust figure is of all doubles in a row, and {absent[0]} did not run", None
    watched, *further = (
        {name: picture.image for name, picture in {**each.taps, **each.outputs}.items()}
        for each in (development, *members)
    )
    try:
        belief = found.figure.of(development.settings, development.frame, watched=watched, members=further)
    except UserError as error:
        return f"no error is foretold: {error.message}", None
    return line(belief), {
        "psnr": round(belief.psnr, 2),
        "low": round(belief.low, 2),
        "high": round(belief.high, 2),
        "rank": None if belief.rank is None else round(belief.rank, 3),
        "outside": [
            {"address": each.address, "message": each.message, "by": None if _constant(each) else round(each.by, 4)}
            for each in belief.outside
        ],
    }


def line(belief: Belief) -> str:
    """A belief in one line.

    What was sampled of the settings outside stands in the notes of the development, in declared units; here is how far.
    """
    outside = f"it lies outside of what was sampled: {', '.join(map(_far, belief.outside))}"
    if belief.high - belief.low > WIDE:
        why = outside if belief.outside else "evaluate with more queries, on raws like this one and parts as large"
        return f"no error can be foretold, between {belief.low:.0f} and {belief.high:.0f} dB all is likely; {why}"
    figure = f"expected PSNR {belief.psnr:.1f} dB, for nine queries of ten {belief.low:.1f} to {belief.high:.1f} dB"
    if belief.weak:
        figure += "; hardly to be believed: when it was tried it did not tell good pictures from bad ones"
        figure += f" (rank correlation {belief.rank:.2f})"
    return f"{figure}; a guess, since {outside}" if belief.outside else figure


def _far(each: Outside) -> str:
    return f"{each.address} was never varied" if _constant(each) else f"{each.address} by {each.by:.0%} of its range"


def _constant(each: Outside) -> bool:
    return each.by == float("inf")
