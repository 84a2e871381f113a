"""The device's end of the protocol, by a client that was written from the description alone."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from ispdsl.device.cli import main
from ispdsl.device.misdeeds import NAMES, Misdeed, Plan, UnclearError, places, rates
from ispdsl.device.registers import reset_words
from tests.executors.devices import ROOT, Client, Device, device, scene


@pytest.fixture(scope="module")
def board() -> Generator[Device]:
    with device("--tcp", "0") as found:
        yield found


def test_it_says_what_it_is(board: Device) -> None:
    with Client(board.place) as client:
        assert client.read(0x00, 0x04, 0x10, 0x14) == (0x49535044, 1, 12, 8)
        status, body = client.ask(5)
        assert (status, struct.unpack("<6I", body)[:2]) == (0, (0x49535044, 1))


def test_words_keep_what_is_written(board: Device) -> None:
    with Client(board.place) as client:
        assert client.write({0xF00: 0x12345678, 0xF04: 0xFFFFFFFF}) == 0
        assert client.read(0xF04, 0xF00, 0xF08) == (0xFFFFFFFF, 0x12345678, 0)


@pytest.mark.parametrize("address", [0x00, 0x08, 0x101, 0x1000, 0xFFFFFFFC])
def test_addresses_that_are_no_configuration_are_refused(address: int, board: Device) -> None:
    with Client(board.place) as client:
        before = client.read(*sorted(reset_words()))
        assert client.write({0x100: 1, address: 5}) == 3
        assert client.read(*sorted(reset_words())) == before, "nothing of a refused message is written"


@pytest.mark.parametrize(
    ("kind", "payload", "status"),
    [
        (9, b"", 2),
        (1, b"abc", 1),
        (1, struct.pack("<I", 0x1000), 3),
        (2, struct.pack("<I", 0x100), 1),
        (3, b"short", 1),
        (3, struct.pack("<QIIBBH5II", 1, 4, 4, 0, 12, 0, 0, 0, 0, 0, 1, 0) + bytes(31), 1),
        (3, struct.pack("<QIIBBH5II", 1, 4, 4, 9, 12, 0, 0, 0, 0, 0, 1, 0) + bytes(32), 1),
        (3, struct.pack("<QIIBBH5II", 1, 1, 4, 0, 12, 0, 0, 0, 0, 0, 1, 0) + bytes(8), 4),
        (3, struct.pack("<QIIBBH5II", 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 1, 0), 4),
        (3, struct.pack("<QIIBBH5II", 1, 2**31, 2**31, 0, 12, 0, 0, 0, 0, 0, 1, 2**31), 1),
        (4, struct.pack("<Q", 99), 5),
        (4, b"", 1),
    ],
)
def test_what_it_cannot_do_has_a_status(kind: int, payload: bytes, status: int, board: Device) -> None:
    with Client(board.place) as client:
        assert client.ask(kind, payload) == (status, b"")
        assert client.picture(scene()).shape == (3, 24, 32), "and it goes on"


def test_a_wrong_check_sum_is_refused_and_no_header_ends_the_connection(board: Device) -> None:
    with Client(board.place) as client:
        whole = b"ISPD" + struct.pack("<BBHII", 1, 1, 0, 7, 4)
        client.socket.sendall(whole + struct.pack("<I", zlib.crc32(whole)) + bytes(4) + b"\1\2\3\4")
        assert struct.unpack_from("<H", client.socket.recv(24), 6)[0] == 1
        client.socket.sendall(b"GET / HTTP/1.1\r\n\r\n\r\n")
        assert client.socket.recv(1) == b""


def test_a_payload_that_would_fill_the_memory_ends_the_connection(board: Device) -> None:
    head = b"ISPD" + struct.pack("<BBHII", 1, 3, 0, 1, 2**28 + 1)
    with Client(board.place) as client:
        client.socket.settimeout(3)
        client.socket.sendall(head + struct.pack("<I", zlib.crc32(head)))
        assert client.socket.recv(1) == b""


def test_power_that_is_lost_ends_every_connection(board: Device) -> None:
    with Client(board.place) as other, Client(board.place) as client:
        starts = other.read(0x08)[0]
        client.write({0x100: 5})
        client.arm(4)
        with pytest.raises(ConnectionError):
            client.picture(scene())
        other.socket.settimeout(3)
        assert other.socket.recv(1) == b""
    with Client(board.place) as again:
        assert again.read(0x08, 0x0C, 0x100) == (starts + 1, 0, reset_words()[0x100])


def test_nothing_that_is_sent_stops_it(board: Device) -> None:
    """Messages with bytes changed, cut off, or made up."""
    random = np.random.default_rng(0)
    frame = struct.pack("<QIIBBH5II", 1, 4, 4, 0, 12, 0, 0, 0, 0, 0, 256 * 4095, 0) + bytes(32)
    for turn in range(150):
        head = b"ISPD" + struct.pack("<BBHII", 1, turn % 7, 0, turn, len(frame))
        whole = head + struct.pack("<I", zlib.crc32(head)) + frame + struct.pack("<I", zlib.crc32(frame))
        data = bytearray(whole[: random.integers(1, len(whole))] if turn % 3 == 0 else whole)
        data[random.integers(len(data))] ^= int(random.integers(256))
        with Client(board.place) as client:
            client.socket.sendall(random.bytes(64) if turn % 10 == 9 else bytes(data))
    with Client(board.place) as client:
        assert client.picture(scene()).shape == (3, 24, 32)


def test_it_listens_on_this_machine_alone(board: Device) -> None:
    host, port = board.place.split(":")
    assert host == "127.0.0.1"
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("this machine has no address but its own loop")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((own, int(port)), 2)


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(board: Device) -> None:
    whole = b"ISPD" + struct.pack("<BBHII", 1, 3, 0, 1, 5000)

    with Client(board.place) as rude, Client(board.place) as polite:
        rude.socket.sendall(whole + struct.pack("<I", zlib.crc32(whole)) + bytes(100))
        assert polite.picture(scene()).shape == (3, 24, 32)
        rude.socket.close()
        assert polite.picture(scene()).shape == (3, 24, 32)


def test_a_mapped_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("six years of work")
    command = [sys.executable, "-m", "ispdsl.device", "--mmio", str(tmp_path / "thesis.txt")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds something else" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "six years of work"


@pytest.mark.parametrize(
    "arguments",
    [["--tcp", "70000"], ["--tcp", "0", "--faults", "dropp=0.1"], ["--tcp", "0", "--faults-at", "x:drop"]],
)
def test_arguments_that_make_no_sense_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("ispdsl-device: ")


def test_lists_of_misdeeds() -> None:
    assert rates("drop=0.1,hang=0.05") == {Misdeed.DROP: 0.1, Misdeed.HANG: 0.05}
    assert places("3:drop,7:power") == {3: Misdeed.DROP, 7: Misdeed.POWER}
    assert rates("") == places("") == {}
    for wrong in ("drop", "drop=x", "none=0.1", "drop=0.7,hang=0.7", "drop=-1"):
        with pytest.raises(UnclearError):
            rates(wrong)


def test_the_description_numbers_all_misdeeds() -> None:
    text = (ROOT / "docs" / "executors_registers.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"(\d+) `([a-z]+)`", text.partition("### Misdeeds")[2]))
    assert told == {str(int(each)): name for name, each in NAMES.items()}


def test_armed_comes_before_listed_and_listed_before_the_dice() -> None:
    plan = Plan(rates={Misdeed.HANG: 1.0}, places={2: Misdeed.DROP}, armed=Misdeed.FLIP)
    assert [plan.next() for _ in range(3)] == [Misdeed.FLIP, Misdeed.DROP, Misdeed.HANG]


def test_a_picture_is_the_same_whoever_asks(board: Device) -> None:
    with Client(board.place) as one, Client(board.place) as other:
        assert np.array_equal(one.picture(scene()), other.picture(scene()))
