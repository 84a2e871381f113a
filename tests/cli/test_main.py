"""How `python -m ispdsl` ends: with all that was to be said and done, but nothing taken apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import atexit, os, sys, threading
import ispdsl.cli.app
from ispdsl.__main__ import main

class Left:
    def __del__(self, write=os.write):
        write(1, b" taken apart")

def run(command=ispdsl.cli.app.main):
    atexit.register(print, "registered")
    threading.Thread(target=lambda: (threading.main_thread().join(), print("thread"))).start()
    command()

left = Left()
ispdsl.cli.app.main = run
sys.argv = ["ispdsl", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["explain", "E101"], 0, "E101"), (["check", "none.isp"], 3, ""), (["chekc"], 2, ""), (["--help"], 0, "Commands")],
    ids=str,
)
def test_what_was_begun_is_ended_and_the_code_is_kept(words: list[str], code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert done.stdout.split()[-2:] == ["thread", "registered"]


def test_an_output_that_cannot_be_written_is_told() -> None:
    script = "import sys; from ispdsl.__main__ import main; sys.argv = ['ispdsl', '--help']; main()"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
