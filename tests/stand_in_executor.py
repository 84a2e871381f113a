"""A real thing that is none: an executor that brightens by a slider, for tests of what runs executors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import Found
from ispdsl.executors.model import Answer, Cost, Declared, Executor, Limits, Request, one_by_one

OPEN: list[StandIn] = []
"""Those that nobody has closed."""
ASKED: list[Request] = []


@dataclass(eq=False)
class StandIn:
    declared: Declared
    version: str = "stand-in 1.0"
    batch: int = 1
    asked: list[Request] = field(default_factory=list[Request])

    def run(self, request: Request) -> Answer:
        ASKED.append(request)
        gain = request.settings.get("gain", request.settings.get("lift.gain", 1.0))
        if gain == 7:
            raise ExecutorError(Fault.CRASH, "the stand-in fell over", command=("stand-in",), status=-11)
        assert isinstance(gain, float)
        image = next(iter(request.images.values()))
        image = np.repeat(image, 3, axis=0) if image.shape[0] == 1 else image
        outputs = {port.name: (image * gain).astype(np.float32) for port in self.declared.outputs}
        taps = {name: (image * 1).astype(np.float32) for name in request.taps}
        return Answer(outputs, taps, Cost(0.0, 0.0), ("it stood in",))

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        return one_by_one(self, requests)

    def close(self) -> None:
        if self in OPEN:  # the list of another test, when the collector comes late
            OPEN.remove(self)


def open_executor(declared: Declared, limits: Limits, lane: int) -> Executor:
    opened = StandIn(declared)
    OPEN.append(opened)
    return opened


def reaches(declared: Declared) -> tuple[str, ...]:
    return tuple(str(value) for value in declared.implementation.arguments.values())


def findings() -> tuple[Found, ...]:
    return ()
