from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event

from ispdsl.interrupts import held_back, leave_to_parent


def _work(begun: Event, end: Event) -> None:
    leave_to_parent()
    begun.set()
    end.wait(60)


def test_a_process_outlives_ctrl_c_from_its_first_moment_on() -> None:
    context = multiprocessing.get_context("spawn")
    begun, end = context.Event(), context.Event()
    process = context.Process(target=_work, args=(begun, end), daemon=True)
    with held_back():
        process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)  # while it starts and imports
    assert begun.wait(60)
    os.kill(process.pid, signal.SIGINT)
    end.set()
    process.join(60)
    assert process.exitcode == 0
