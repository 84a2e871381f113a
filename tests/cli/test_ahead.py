"""Work that begins early gives its result, or its error, to whoever asks."""

from __future__ import annotations

import gc
import threading

import pytest

from ispdsl.cli.ahead import ahead
from ispdsl.cli.memory import no_collection


def test_it_begins_at_once_and_waits_when_asked() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        go_on.wait(5)
        return 7

    wait = ahead(work)
    assert begun.wait(5)
    go_on.set()
    assert wait() == wait() == 7


def test_its_error_is_raised_where_it_is_asked_for() -> None:
    with pytest.raises(ZeroDivisionError):
        ahead(lambda: 1 // 0)()


def test_garbage_is_looked_for_again_afterwards() -> None:
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()
