"""Register devices: what is written through the text is what a direct write of the registers does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ispdsl.backends.blackbox import declared, declared_stage, opened, request
from ispdsl.errors import CompileError
from ispdsl.executors import registers
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Limits, Request
from ispdsl.graph import build
from ispdsl.ir.params import Register
from ispdsl.ir.types import Type
from ispdsl.lower.loader import load
from ispdsl.runtime.faces import codes, from_code
from ispdsl.runtime.frame import Frame, FrameSource
from ispdsl.runtime.values import Settings
from tests.executors import devices
from tests.executors.devices import HARDWARE, ROOT, Client, Device, device, executor_line, scene

REGISTERS = declared(build(load(HARDWARE))).nodes[0].signature.parameters


@pytest.fixture(scope="module")
def board() -> Iterator[Device]:
    with device("--tcp", "0") as found:
        yield found


def a_frame(mosaic: Any, cfa: str = "rggb", bits: int = 12, black: float = 0.0, white: float = 4095.0) -> Frame:
    metadata = {"black_level": np.full(4, black), "white_level": white}
    source = FrameSource("scene.dng", "", "", "", "")
    return Frame(mosaic[None], Type.parse(f"raw<{cfa}, u{bits}>"), metadata, 1, source)


# ---- acceptance: the text against direct writes -------------------------------------------------------------------


def test_there_are_32_registers_with_words_of_their_own() -> None:
    assert len(REGISTERS) == 32
    for each in REGISTERS:
        assert isinstance(each, Register)
        assert len(each.doc) > 10
        assert codes(each) == each.field.format.codes


@pytest.mark.parametrize("declaration", REGISTERS, ids=lambda each: each.name)
def test_a_field_set_by_the_text_gives_what_a_direct_write_gives(
    declaration: Register, board: Device, tmp_path: Path
) -> None:
    """Both ends and a code inside, by an own file's text and settings as `--set` has them."""
    file = tmp_path / "board.isp"
    text = HARDWARE.read_text(encoding="utf-8").replace("127.0.0.1:7171", board.place)
    file.write_text(text, encoding="utf-8")
    graph = build(load(file))
    frame = a_frame(scene(20, 28))
    low, high = codes(declaration)
    field = declaration.field
    with opened(declared(graph, {"C": "rggb"}), allow_exec=True) as executor, Client(board.place) as direct:
        pictures: list[Any] = []
        base = Settings.of(graph).update(SHOWN.get(declaration.name[:2], {}))
        for code in (low, low + (high - low) // 32, high):
            settings = base.set(f"isp.{declaration.name}", repr(from_code(declaration, code)))
            through = executor.run(request(executor.declared, frame, settings)).outputs["image"]
            executor.run(request(executor.declared, frame, base))
            direct.field(field.address, field.high, field.low, code)
            assert np.array_equal(direct.picture(scene(20, 28)), through), f"code {code}"
            pictures.append(through)
    assert len({each.tobytes() for each in pictures}) == 3, "each code shows"


SHOWN = {
    "aa": {"isp.va_thresh": "0", "isp.va_slope": "255"},
    "va": {"isp.aa_thresh": "0"},
    "st": {"isp.thresh_1h": "40"},
}
"""What must be set besides for registers that blend what others found."""


def test_bits_that_no_field_covers_are_left_alone(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place))
    with Client(board.place) as direct:
        direct.field(0x104, 31, 12, 0x5A5A5)
        executor.run(devices.request(executor.declared, scene(), gain_11=3))
        assert direct.read(0x104) == (0x5A5A5300,)
        direct.field(0x104, 31, 12, 0)
    executor.close()


# ---- every transport ----------------------------------------------------------------------------------------------


def test_all_transports_give_the_same_picture(board: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "board.mem"
    asked = {"gain_00": 3.5, "lut_power": 80}
    with device("--serial") as line, device("--mmio", str(path), "--base", "0x4000", "--buffer", "1"):
        lines = {
            "tcp": executor_line("tcp", board.place),
            "serial": executor_line("serial", line.place, baud=921600.0),
            "mmio": executor_line("mmio", str(path), base=float(0x4000)),
            "i2c": executor_line("i2c", "/dev/i2c-1", address=float(0x36), frames=board.place),
        }
        monkeypatch.setitem(sys.modules, "smbus2", FakeSmbus(board.place))
        found: dict[str, Any] = {}
        for kind, declared_ in lines.items():
            executor = open_executor(declared_)
            found[kind] = executor.run(devices.request(executor.declared, scene(), **asked)).outputs["image"]
            executor.close()
    assert all(np.array_equal(image, found["tcp"]) for image in found.values())
    assert len(found) == 4


class FakeSmbus:
    """What `transport_i2c` uses of smbus2, on a bus with one device: a board that is reached by TCP."""

    def __init__(self, place: str, present: int = 0x36) -> None:
        self.place, self.present = place, present
        self.i2c_msg = self

    def SMBus(self, path: str) -> FakeSmbus:  # noqa: N802 - smbus2's name
        assert path == "/dev/i2c-1"
        self.client = Client(self.place)
        return self

    @staticmethod
    def write(device: int, data: list[int]) -> tuple[int, list[int], bool]:
        return device, data, False

    @staticmethod
    def read(device: int, count: int) -> _Answer:
        return _Answer([0] * count)

    def i2c_rdwr(self, first: tuple[int, list[int], bool], answer: _Answer | None = None) -> None:
        device, data, _ = first
        if device != self.present:
            raise OSError(121, "Remote I/O error")
        address = int.from_bytes(bytes(data[:2]), "big")
        if answer is None:
            assert self.client.write({address: int.from_bytes(bytes(data[2:]), "big")}) == 0
        else:
            answer[:] = self.client.read(address)[0].to_bytes(4, "big")

    def close(self) -> None:
        self.client.socket.close()


class _Answer(list[int]):
    pass


def test_i2c_without_its_package_says_how_to_get_it(board: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(ExecutorError, match="pip install smbus2") as caught:
        open_executor(executor_line("i2c", "/dev/i2c-1", address=54.0, frames=board.place))
    assert caught.value.fault is Fault.ABSENT


def test_i2c_without_an_answer_is_a_broken_link(board: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smbus2", FakeSmbus(board.place, present=0x10))
    with pytest.raises(ExecutorError, match="Remote I/O error") as caught:
        open_executor(executor_line("i2c", "/dev/i2c-1", address=54.0, frames=board.place))
    assert caught.value.fault is Fault.LINK


# ---- what is not there, and what is wrong in the text --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "place", "fault"),
    [
        ("tcp", "127.0.0.1:1", Fault.LINK),
        ("serial", "/dev/no-such-port", Fault.ABSENT),
        ("mmio", "/no/such/file", Fault.ABSENT),
    ],
)
def test_a_device_that_is_not_there(kind: str, place: str, fault: Fault) -> None:
    with pytest.raises(ExecutorError, match="ispdsl-device") as caught:
        open_executor(executor_line(kind, place, timeout=1.0))
    assert caught.value.fault is fault
    assert caught.value.command == (f"{kind} {place}",)


def test_a_file_that_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "picture.raw").write_bytes(bytes(100_000))
    with pytest.raises(ExecutorError) as caught:
        open_executor(executor_line("mmio", str(tmp_path / "picture.raw")))
    assert caught.value.fault is Fault.VERSION


@pytest.mark.parametrize(
    ("kind", "place", "arguments", "said"),
    [
        ("tcp", "127.0.0.1:7171", {"bound": 3.0}, "no argument bound"),
        ("tcp", "127.0.0.1:7171", {"baud": 9600.0}, "no argument baud"),
        ("tcp", "nowhere", {}, "'nowhere' is no address"),
        ("tcp", "127.0.0.1:99999", {}, "is no address"),
        ("tcp", 5.0, {}, "does not say where the device is"),
        ("tcp", ("127.0.0.1:1", "127.0.0.1:1"), {}, "named twice"),
        ("tcp", "127.0.0.1:7171", {"word": 16.0}, "words have 32 bits"),
        ("tcp", "127.0.0.1:7171", {"timeout": 0.0}, "timeout is no time"),
        ("tcp", "127.0.0.1:7171", {"levels": "some"}, "levels is 'some'"),
        ("mmio", "board.mem", {"base": 2.0}, "base is 2"),
        ("i2c", "/dev/i2c-1", {"frames": "127.0.0.1:7171"}, "address is no I2C address"),
        ("i2c", "/dev/i2c-1", {"address": 54.0}, "does not say frames"),
    ],
)
def test_executor_lines_that_make_no_sense(kind: str, place: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(CompileError, match=said):
        open_executor(executor_line(kind, place, **arguments))


def test_a_setting_without_a_code_is_refused(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place))
    with pytest.raises(ExecutorError, match=r"isp.gain_00 at 0x100\[11:0\].*outside the range") as caught:
        executor.run(devices.request(executor.declared, scene(), gain_00=17))
    assert caught.value.fault is Fault.SETTINGS
    executor.close()


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("slider gain in 0..4 = 1", "gain is a slider, and the device has registers alone"),
        ("register gain @ 0x102[7:0] : u8 = 1", "gain lies at 0x102, in the middle of a word"),
    ],
)
def test_what_no_register_can_hold_is_refused(parameter: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "box.isp").write_text(
        f"stage box(mosaic: raw<rggb, u12>) -> rgb<srgb, u8> {{\n  {parameter}\n"
        '  executor tcp("127.0.0.1:1")\n  property global\n}\n'
    )
    stage = next(iter(load(tmp_path / "box.isp").stages.values()))
    with pytest.raises(CompileError, match=said):
        open_executor(declared_stage(stage.signature, ""))


def test_two_nodes_of_one_stage_would_share_registers(board: Device) -> None:
    found = executor_line("tcp", board.place)
    again = replace(found.nodes[0], address="again")
    with pytest.raises(CompileError, match=r"share bits of 0x100\[11:0\]"):
        open_executor(replace(found, nodes=(found.nodes[0], again)))


def test_a_stage_runs_alone(board: Device, tmp_path: Path) -> None:
    file = tmp_path / "board.isp"
    text = HARDWARE.read_text(encoding="utf-8").replace("127.0.0.1:7171", board.place)
    file.write_text(text, encoding="utf-8")
    stage = next(iter(load(file).stages.values()))
    found = declared_stage(stage.signature, "", {"C": "rggb"})
    executor = open_executor(found)
    mosaic = scene() * 16
    with Client(board.place) as direct:
        through = executor.run(devices.request(found, mosaic, gain_00=1.5)).outputs["out"]
        assert np.array_equal(direct.picture(mosaic, bits=16), through)
        assert direct.read(0x100)[0] & 0xFFF == 384
    executor.close()


def test_a_stage_that_the_device_does_not_run_is_refused(board: Device) -> None:
    found = executor_line("tcp", board.place)
    with pytest.raises(CompileError, match="the device does not run isp, stage hardware_isp"):
        open_executor(replace(found, nodes=(replace(found.nodes[0], executor=None),)))


# ---- frames --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cfa", ["rggb", "bggr", "grbg", "gbrg"])
@pytest.mark.parametrize("size", [(2, 2), (3, 5), (17, 20)])
def test_any_phase_and_size(cfa: str, size: tuple[int, int], board: Device, tmp_path: Path) -> None:
    """What a phase looks like must not depend on where the frame begins: a grey ramp is grey to within what bends."""
    found = executor_line("tcp", board.place)
    port = found.inputs[0].model_copy(update={"type": Type.parse(f"raw<{cfa}, u12>")})
    executor = open_executor(replace(found, inputs=(port,)))
    flat = np.full(size, 800, np.uint16)
    image = executor.run(devices.request(found, flat, gain_00=1, gain_01=1, gain_11=1)).outputs["image"]
    executor.close()
    assert image.shape == (3, *size)
    assert np.ptp(image) == 0


def test_black_and_white_come_with_the_frame(board: Device) -> None:
    """A 14-bit frame with black 512 is the 12-bit frame with black 0, where the codes are the same light."""
    found = executor_line("tcp", board.place, levels="frame")
    port = found.inputs[0].model_copy(update={"type": Type.parse("raw<rggb, u16>")})
    executor = open_executor(replace(found, inputs=(port,)))
    mosaic = scene()
    deep = (mosaic * 3 + 512).astype(np.uint16)
    plain = devices.request(found, mosaic)
    twelve = executor.run(replace(plain, frame=a_frame(mosaic)))
    frame = a_frame(deep, "rggb", 14, 512, 512 + 3 * 4095)
    fourteen = executor.run(Request({"mosaic": deep[None].astype(np.float32)}, plain.settings, frame))
    assert np.array_equal(twelve.outputs["image"], fourteen.outputs["image"])
    with pytest.raises(ExecutorError, match="without its black and white level") as caught:
        executor.run(plain)
    assert caught.value.fault is Fault.SETTINGS
    executor.close()


def test_codes_are_rounded_and_said_so_and_what_is_beyond_is_refused(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place))
    asked = devices.request(executor.declared, scene())
    whole = executor.run(asked)
    between = executor.run(replace(asked, images={"mosaic": asked.images["mosaic"] + np.float32(0.25)}))
    assert whole.notes == ()
    assert between.notes == ("mosaic was rounded to whole codes",)
    assert np.array_equal(whole.outputs["image"], between.outputs["image"])
    for wrong in (-1.0, 4096.0, np.nan):
        image = asked.images["mosaic"].copy()
        image[0, 0, 0] = wrong
        with pytest.raises(ExecutorError, match="beyond the codes") as caught:
            executor.run(replace(asked, images={"mosaic": image}))
        assert caught.value.fault is Fault.SETTINGS
    executor.close()


# ---- several boards, other clients, and the end ---------------------------------------------------------------------


def test_lanes_are_boards(board: Device) -> None:
    with device("--tcp", "0") as second:
        found = executor_line("tcp", (board.place, second.place))
        assert registers.lanes(found) == 2
        assert registers.reaches(found) == (f"tcp {board.place}", f"tcp {second.place}")
        executors = [open_executor(found, None, lane) for lane in (0, 1)]
        for index, executor in enumerate(executors):
            executor.run(devices.request(found, scene(), gain_00=2 + index))
        for index, place in enumerate((board.place, second.place)):
            with Client(place) as direct:
                assert direct.read(0x100)[0] & 0xFFF == 256 * (2 + index)
        for executor in executors:
            executor.close()
        with pytest.raises(CompileError, match="worker 3 has no board"):
            open_executor(found, None, 2)


def test_the_limit_holds_where_it_is_shorter_than_the_line_says(board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place, timeout=30.0), Limits(seconds=0.2))
    with Client(board.place) as direct:
        direct.arm(2)
    with pytest.raises(ExecutorError) as caught:
        executor.run(devices.request(executor.declared, scene()))
    assert caught.value.fault is Fault.HANG
    executor.close()


def test_a_board_that_is_killed_and_started_again(board: Device) -> None:
    with device("--tcp", "0") as first:
        executor = open_executor(executor_line("tcp", first.place))
        right = executor.run(devices.request(executor.declared, scene())).outputs["image"]
        port = first.place.rpartition(":")[2]
    with pytest.raises(ExecutorError) as caught:
        executor.run(devices.request(executor.declared, scene()))
    assert caught.value.fault is Fault.LINK
    with device("--tcp", port):
        again = executor.run(devices.request(executor.declared, scene())).outputs["image"]
    executor.close()
    assert np.array_equal(again, right)


def test_findings_say_what_is_here() -> None:
    found = {each.name: each for each in registers.findings()}
    assert found["ispdsl-device"].here
    assert found["smbus2"].here or "pip install smbus2" in (found["smbus2"].advice or "")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_device_stops_when_it_is_told_to(end: signal.Signals) -> None:
    with device("--tcp", "0") as found:
        found.process.send_signal(end)
        assert found.process.wait(5) == 0


def test_the_device_stops_with_its_parent() -> None:
    script = (
        "import subprocess, sys\n"
        "device = subprocess.Popen([sys.executable, '-m', 'ispdsl.device', '--tcp', '0'], stdout=subprocess.PIPE)\n"
        "device.stdout.readline()\n"
        "print(device.pid, flush=True)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20, check=True)
    pid = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z":
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail(f"process {pid} lives on without its parent")
