"""`ispdsl-device`: the simulated board as a process of its own."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ispdsl.device.board import Board
from ispdsl.device.mapped import Mapped, OccupiedError
from ispdsl.device.misdeeds import NAMES, Plan, UnclearError, places, rates
from ispdsl.device.streams import Line, Listener


class _Served(Protocol):
    def start(self) -> None: ...


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ispdsl-device",
        description="A simulated camera ISP with 32 registers. It prints where it listens, and serves until it is "
        "ended or its parent is.",
        epilog=f"Misdeeds: {', '.join(NAMES)}.",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", type=int, metavar="PORT", help="listen on a TCP port; 0 is any free one")
    where.add_argument("--serial", action="store_true", help="make a pseudo-terminal and serve it")
    where.add_argument("--mmio", type=Path, metavar="FILE", help="serve a file that others map into their memory")
    parser.add_argument("--host", default="127.0.0.1", help="address for --tcp; default: this machine alone")
    parser.add_argument("--base", type=lambda text: int(text, 0), default=0, help="where the registers begin in FILE")
    parser.add_argument("--buffer", type=int, default=64, metavar="MIB", help="each frame buffer in FILE; default: 64")
    parser.add_argument("--faults", default="", metavar="LIST", help="probabilities a frame: drop=0.1,hang=0.05")
    parser.add_argument("--faults-at", default="", metavar="LIST", help="by frame, from 1: 3:drop,7:power")
    parser.add_argument("--seed", type=int, default=0, help="of the dice for --faults")
    parser.add_argument("--stay", action="store_true", help="go on when the parent process is gone")
    return parser


def _opened(options: argparse.Namespace, board: Board) -> tuple[_Served, str]:
    """What serves, and the first line to print."""
    if options.tcp is not None:
        if not 0 <= options.tcp < 2**16:
            raise UnclearError(f"{options.tcp} is no port: write 1 to 65535, or 0 for any that is free")
        listener = Listener.at(options.host, options.tcp, board)
        return listener, f"listening on {listener.address}"
    if options.serial:
        line = Line.made(board)
        return line, f"listening on {line.path}"
    mapped = Mapped.at(options.mmio, options.base, options.buffer * 2**20, board)
    return mapped, f"listening on {options.mmio}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the device until SIGTERM, SIGINT, or the end of the parent process.

    Returns:
        0 after a stop, 2 where it cannot start.
    """
    options = _parser().parse_args(arguments)
    try:
        plan = Plan(rates(options.faults), places(options.faults_at), random.Random(options.seed))
        served, said = _opened(options, Board(plan))
    except OccupiedError as error:
        print(f"ispdsl-device: {error} holds something else: name a new file", file=sys.stderr)
        return 2
    except (OSError, UnclearError) as error:
        print(f"ispdsl-device: {error}", file=sys.stderr)
        return 2
    stop, parent = threading.Event(), os.getppid()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    served.start()
    print(said, flush=True)
    while not stop.wait(0.25):
        if os.getppid() != parent and not options.stay:
            break
    return 0
