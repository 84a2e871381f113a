"""Real raws through the simulated device: every one gives a picture, and the levels of the file count."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reproduce.neutral import middle
from ispdsl.backends.blackbox import declared, request
from ispdsl.executors.kinds import open_executor
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from tests.executors.devices import HARDWARE, Client, Device, device
from tests.raws import one_of_each
from tests.test_pictures_of_raws import RAWS, REFUSED

CFA_NUMBER = {"rggb": 0, "grbg": 1, "gbrg": 2, "bggr": 3, "linear": 4}


@pytest.fixture(scope="module")
def board() -> Generator[Device]:
    with device("--tcp", "0") as found:
        yield found


@pytest.mark.realdata
@pytest.mark.parametrize("raw", one_of_each(raw for raw in RAWS if raw not in REFUSED))
def test_every_raw_gives_a_picture(data: Path, raw: str, board: Device, tmp_path: Path) -> None:
    frame = read(data / "raw" / raw)
    frame = frame.crop(*middle(frame.size, 512))
    (tmp_path / "board.isp").write_text(HARDWARE.read_text(encoding="utf-8").replace("127.0.0.1:7171", board.place))
    graph = build(load(tmp_path / "board.isp"))
    executor = open_executor(declared(graph, {"C": frame.cfa}))
    asked = request(executor.declared, frame, Settings.of(graph))
    image = executor.run(asked).outputs["image"]
    executor.close()
    assert image.shape == (3, *frame.size)
    assert 5 < image.mean() < 250
    assert (image.std((1, 2)) > 1).all(), "a channel is dead"
    black, white = np.asarray(frame.metadata["black_level"]), float(frame.metadata["white_level"])
    if (black == np.rint(black)).all() and white == int(white):
        with Client(board.place) as direct:
            levels = [int(each) for each in black]
            codes = frame.image.astype(np.uint16)
            other = direct.picture(codes, CFA_NUMBER[frame.cfa], 16, levels, int(white))
        assert np.array_equal(other, image)
