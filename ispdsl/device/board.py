"""The state of the board: registers, counters, and the last result. Links talk to it, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ispdsl.device import isp
from ispdsl.device.misdeeds import Misdeed, Plan
from ispdsl.device.registers import ARM, CONFIGURATION, END, reset_words
from ispdsl.executors.frames import (
    IDENT,
    PROTOCOL,
    WORD_BOOT,
    WORD_DEPTH,
    WORD_FRAMES,
    WORD_IDENT,
    WORD_INPUT_BITS,
    WORD_PROTOCOL,
    Injected,
    Result,
    Status,
    checksum,
)


class PowerLostError(Exception):
    """The board lost power: every connection is gone."""


@dataclass
class Board:
    """A board under power. Every method may be called from any thread."""

    plan: Plan = field(default_factory=Plan)
    words: dict[int, int] = field(default_factory=reset_words)
    boot: int = 1
    frames: int = 0
    last: Result | None = None
    due: Misdeed = Misdeed.NONE
    """What is wrong with the answer to the next fetch."""
    _begun: Misdeed | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def own(self) -> dict[int, int]:
        """The words that the device writes itself."""
        return {
            WORD_IDENT: IDENT,
            WORD_PROTOCOL: PROTOCOL,
            WORD_BOOT: self.boot,
            WORD_FRAMES: self.frames,
            WORD_INPUT_BITS: 12,
            WORD_DEPTH: isp.DEPTH,
        }

    def read(self, addresses: Iterable[int]) -> list[int]:
        """Words; what nothing was written to reads 0.

        Raises:
            KeyError: no such address.
        """
        with self._lock:
            own = self.own()
            for address in (addresses := tuple(addresses)):
                if address % 4 or not 0 <= address < END:
                    raise KeyError(address)
            return [own.get(address, self.words.get(address, 0)) for address in addresses]

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words of the configuration, or arm a misdeed.

        Raises:
            KeyError: no such address, or one that is read only.
        """
        with self._lock:
            pairs = tuple(pairs)
            for address, word in pairs:
                arms = address == ARM and word in list(Misdeed)
                if address % 4 or not (arms or CONFIGURATION <= address < END):
                    raise KeyError(address)
            for address, word in pairs:
                if address == ARM:
                    self.plan.armed, self._begun = Misdeed(word), None
            configured = {address: word for address, word in pairs if address != ARM}
            if configured and self._begun is None:
                self._begun = self.plan.next()
            if configured and self._begun is Misdeed.STUCK:
                configured[next(iter(configured))] ^= 1
                self._begun = None
            self.words.update(configured)

    def inject(self, frame: Injected) -> Status:
        """Develop a frame.

        Raises:
            PowerLostError: the power went in mid-frame.
        """
        with self._lock:
            if not isp.supported(frame):
                return Status.BAD_FRAME
            misdeed = self.plan.next() if self._begun is None else self._begun
            self._begun, self.due = None, misdeed
            before, self.last = self.last, None
            if misdeed is Misdeed.DROP:
                return Status.DONE
            if misdeed in (Misdeed.POWER, Misdeed.BROWNOUT):
                self._reset()
            if misdeed is Misdeed.POWER:
                raise PowerLostError
            result = self._developed(frame, misdeed)
            if misdeed is Misdeed.STALE:
                result = before or replace(result, token=result.token ^ 1, number=result.number - 1)
            elif misdeed is Misdeed.FOREIGN:
                result = replace(result, token=result.token ^ 2**63, picture=255 - result.picture)
            self.last = result
            return Status.DONE

    def fetch(self, token: int) -> tuple[Result | None, Misdeed]:
        """The last result, whatever token is asked for, and what is to go wrong with it on the way."""
        with self._lock:
            due, self.due = self.due, Misdeed.NONE
            lies = due in (Misdeed.STALE, Misdeed.FOREIGN)
            found = self.last if self.last is not None and (lies or self.last.token == token) else None
            return found, due

    def _reset(self) -> None:
        self.words, self.frames, self.last = reset_words(), 0, None
        self.boot += 1

    def _developed(self, frame: Injected, misdeed: Misdeed) -> Result:
        start = time.perf_counter_ns()
        asked = [address for address in frame.addresses if address in self.words]
        if misdeed is Misdeed.UPSET and asked:
            self.words[asked[0]] ^= 1
        if misdeed is Misdeed.MEMORY:
            mosaic = np.array(frame.mosaic)
            mosaic[0, 0, 0] ^= 1
            frame = replace(frame, mosaic=mosaic)
        words = dict(self.words)
        source = checksum(frame.mosaic)
        picture = isp.picture(frame, words)
        if misdeed is Misdeed.SHAPE:
            picture = picture[:, 1:]
        self.frames += 1
        latched = tuple(words.get(address, 0) for address in frame.addresses)
        taken = time.perf_counter_ns() - start
        return Result(frame.token, self.boot, self.frames, isp.DEPTH, source, taken, latched, picture)
