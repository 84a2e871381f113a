"""A process that puts tiny samples into a run until it is killed, and writes down what was acknowledged.

``python -m tests.store.writer RUN LOG NAME FIRST``: every second key is the writer's own, the others are fought over.
"""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from ispdsl.store.runs import held, open_run, put
from tests.store.made import sample_of


def main(folder: str, log: str, name: str, first: str) -> None:
    run = open_run(Path(folder))
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with held(run.path) if name == "a" else nullcontext():
        for number in itertools.count(int(first)):
            key = f"{number}.{name}" if number % 2 else f"{number}"
            if put(run, sample_of(number, 4), key, number):
                os.write(notes, f"{key}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
