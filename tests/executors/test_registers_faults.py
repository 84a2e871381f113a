"""Every misdeed of a device ends in its typed error, none in a wrong picture, and the next call is right again."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ispdsl.device.misdeeds import Misdeed
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Executor
from tests.executors.devices import ARM, Client, Device, device, executor_line, request, scene

LIMIT = 0.25
"""Seconds that a call may take here."""

EXPECTED: dict[Misdeed, Fault] = {
    Misdeed.DROP: Fault.MISSING,
    Misdeed.HANG: Fault.HANG,
    Misdeed.GARBAGE: Fault.GARBAGE,
    Misdeed.POWER: Fault.LINK,
    Misdeed.BROWNOUT: Fault.LINK,
    Misdeed.FLIP: Fault.GARBAGE,
    Misdeed.STALE: Fault.STALE,
    Misdeed.CUT: Fault.LINK,
    Misdeed.STUCK: Fault.READBACK,
    Misdeed.UPSET: Fault.READBACK,
    Misdeed.SHAPE: Fault.SHAPE,
    Misdeed.FLOOD: Fault.FLOOD,
    Misdeed.SLOW: Fault.HANG,
    Misdeed.FOREIGN: Fault.STALE,
    Misdeed.MEMORY: Fault.GARBAGE,
}


@pytest.fixture(scope="module")
def board() -> Iterator[Device]:
    with device("--tcp", "0") as found:
        yield found


def _arm(place: str, misdeed: Misdeed) -> None:
    with Client(place) as control:
        control.arm(misdeed)


def _tried(executor: Executor, place: str, misdeeds: list[Misdeed]) -> Counter[Fault]:
    """Each misdeed on a frame with settings of its own, then the same frame again without it."""
    faults: Counter[Fault] = Counter()
    with device("--tcp", "0") as other:
        clean = open_executor(executor_line("tcp", other.place))
        for index, misdeed in enumerate(misdeeds):
            asked = request(executor.declared, scene(seed=index), gain_00=1 + index % 7, vh_slope=float(index % 256))
            right = clean.run(asked).outputs["image"]
            _arm(place, misdeed)
            start = time.monotonic()
            with pytest.raises(ExecutorError) as caught:
                executor.run(asked)
            assert time.monotonic() - start < LIMIT + 1.0, f"{misdeed.name} took longer than its limit"
            assert caught.value.fault is EXPECTED[misdeed], f"{misdeed.name}: {caught.value}"
            faults[caught.value.fault] += 1
            again = executor.run(asked).outputs["image"]
            assert np.array_equal(again, right), f"the call after {misdeed.name} gave a wrong picture"
        clean.close()
    return faults


def test_every_misdeed_is_expected() -> None:
    assert set(EXPECTED) == set(Misdeed) - {Misdeed.NONE}


def test_misdeeds_end_in_their_typed_errors(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place, timeout=LIMIT))
    order = [*EXPECTED] * 4
    random.Random(1).shuffle(order)
    found = _tried(executor, board.place, order)
    executor.close()
    assert sum(found.values()) == len(order) == 60


@pytest.mark.slow
def test_a_thousand_injected_faults(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place, timeout=LIMIT))
    order = random.Random(2).choices([*EXPECTED], k=1000)
    found = _tried(executor, board.place, order)
    executor.close()
    assert sum(found.values()) == 1000
    assert set(found) == set(EXPECTED.values())


def test_faults_by_chance_never_give_a_wrong_picture() -> None:
    """The command line's dice: whatever comes is right or an error."""
    rates = ",".join(f"{each.name.lower()}=0.04" for each in EXPECTED if each not in (Misdeed.HANG, Misdeed.SLOW))
    with device("--tcp", "0", "--faults", rates, "--seed", "3") as noisy, device("--tcp", "0") as quiet:
        executor = open_executor(executor_line("tcp", noisy.place, timeout=5.0))
        clean = open_executor(executor_line("tcp", quiet.place))
        failed = 0
        for index in range(60):
            asked = request(executor.declared, scene(seed=index), gain_11=1 + index % 5)
            right = clean.run(asked).outputs["image"]
            try:
                image = executor.run(asked).outputs["image"]
            except ExecutorError:
                failed += 1
                continue
            assert np.array_equal(image, right)
        assert 15 <= failed <= 45
        executor.close()
        clean.close()


def test_faults_on_given_frames() -> None:
    with device("--tcp", "0", "--faults-at", "2:drop,4:power") as board:
        executor = open_executor(executor_line("tcp", board.place))
        asked = request(executor.declared, scene())
        found: list[Fault | None] = []
        for _ in range(5):
            try:
                executor.run(asked)
                found.append(None)
            except ExecutorError as error:
                found.append(error.fault)
        executor.close()
    assert found == [None, Fault.MISSING, None, Fault.LINK, None]


OVER_MEMORY = {**EXPECTED, Misdeed.CUT: Fault.LINK, Misdeed.STUCK: Fault.READBACK}


def test_misdeeds_over_a_mapped_file(tmp_path: Path) -> None:
    path = tmp_path / "board.mem"
    with device("--mmio", str(path), "--buffer", "1"):
        executor = open_executor(executor_line("mmio", str(path), timeout=LIMIT))
        right = executor.run(request(executor.declared, scene())).outputs["image"]
        for index, misdeed in enumerate(EXPECTED):
            with path.open("r+b") as file:
                file.seek(ARM)
                file.write(int(misdeed).to_bytes(4, "little"))
            time.sleep(0.02)
            with pytest.raises(ExecutorError) as caught:
                executor.run(request(executor.declared, scene(), gain_00=1 + index))
            assert caught.value.fault is OVER_MEMORY[misdeed], f"{misdeed.name}: {caught.value}"
            again = executor.run(request(executor.declared, scene())).outputs["image"]
            assert np.array_equal(again, right), misdeed.name
        executor.close()


@pytest.mark.slow
def test_misdeeds_over_a_serial_line() -> None:
    order = [Misdeed.DROP, Misdeed.GARBAGE, Misdeed.FLIP, Misdeed.HANG, Misdeed.CUT, Misdeed.POWER, Misdeed.FLOOD]
    places = ",".join(f"{2 * index + 2}:{each.name.lower()}" for index, each in enumerate(order))
    over_serial = {**EXPECTED, Misdeed.CUT: Fault.HANG, Misdeed.POWER: Fault.HANG}
    with device("--serial", "--faults-at", places) as board:
        executor = open_executor(executor_line("serial", board.place, timeout=1.0))
        asked = request(executor.declared, scene())
        right = executor.run(asked).outputs["image"]
        for misdeed in order:
            with pytest.raises(ExecutorError) as caught:
                executor.run(asked)
            assert caught.value.fault is over_serial[misdeed], f"{misdeed.name}: {caught.value}"
            assert np.array_equal(executor.run(asked).outputs["image"], right), misdeed.name
        executor.close()
