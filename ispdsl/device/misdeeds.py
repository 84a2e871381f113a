"""What the device can be told to do wrong: by the command line, by chance or on given frames, or by a register."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Misdeed(IntEnum):
    """One frame's misdeed. The number is what the arming register takes."""

    NONE = 0
    DROP = 1
    """The frame is taken and never done."""
    HANG = 2
    """No answer to whoever asks for the result."""
    GARBAGE = 3
    """Random bytes for an answer."""
    POWER = 4
    """Power is lost in mid-frame: registers as after a reset, every connection gone."""
    BROWNOUT = 5
    """Power dips in mid-frame: registers as after a reset, connections stay, the frame is done with those."""
    FLIP = 6
    """A bit of the result's message flips on the way."""
    STALE = 7
    """The answer is the frame before."""
    CUT = 8
    """The connection ends in the middle of the result."""
    STUCK = 9
    """A bit of a word is not taken when it is written."""
    UPSET = 10
    """A bit of a register flips after it was read back."""
    SHAPE = 11
    """The picture has a row less."""
    FLOOD = 12
    """The answer announces more bytes than there are."""
    SLOW = 13
    """The answer trickles, a byte at a time."""
    FOREIGN = 14
    """The answer is somebody else's frame."""
    MEMORY = 15
    """A bit of the frame flips in the device's memory."""


NAMES: Mapping[str, Misdeed] = {each.name.lower(): each for each in Misdeed if each}


class UnclearError(ValueError):
    """A list of misdeeds that cannot be read."""


def rates(text: str) -> dict[Misdeed, float]:
    """Probabilities a frame from ``drop=0.1,hang=0.05``.

    Raises:
        UnclearError: an unknown name, no number, or more than 1 in all.
    """
    found: dict[Misdeed, float] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        try:
            found[_named(name)] = float(number)
        except ValueError as error:
            raise UnclearError(f"{part!r}: write name=probability, the name one of {', '.join(NAMES)}") from error
    if any(not 0 <= rate <= 1 for rate in found.values()) or sum(found.values()) > 1:
        raise UnclearError("probabilities lie in 0..1, and so does their sum")
    return found


def places(text: str) -> dict[int, Misdeed]:
    """Misdeeds by frame, the first being 1, from ``3:drop,7:hang``.

    Raises:
        UnclearError: an unknown name, or no number.
    """
    found: dict[int, Misdeed] = {}
    for part in filter(None, text.split(",")):
        number, _, name = part.partition(":")
        try:
            found[int(number)] = _named(name)
        except ValueError as error:
            raise UnclearError(f"{part!r}: write frame:name, the name one of {', '.join(NAMES)}") from error
    return found


def _named(name: str) -> Misdeed:
    if name.strip() not in NAMES:
        raise ValueError(name)
    return NAMES[name.strip()]


@dataclass
class Plan:
    """Which misdeed is due on which frame: what was armed first, then the list, then the dice."""

    rates: Mapping[Misdeed, float] = field(default_factory=dict[Misdeed, float])
    places: Mapping[int, Misdeed] = field(default_factory=dict[int, Misdeed])
    dice: random.Random = field(default_factory=lambda: random.Random(0))
    armed: Misdeed = Misdeed.NONE
    frames: int = 0

    def next(self) -> Misdeed:
        """The misdeed of the frame that begins now."""
        self.frames += 1
        armed, self.armed = self.armed, Misdeed.NONE
        drawn = self.dice.random()
        if armed or self.frames in self.places:
            return armed or self.places[self.frames]
        for misdeed, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                return misdeed
        return Misdeed.NONE
