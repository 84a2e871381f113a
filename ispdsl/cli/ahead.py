"""Begin work in the background that will be needed soon, while this thread imports and parses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from ispdsl.cli.memory import no_collection
from ispdsl.cli.progress import progress

Result = TypeVar("Result")


def ahead(work: Callable[[], Result]) -> Callable[[], Result]:
    """Begin `work` in a thread; the function returned waits for it and gives its result or raises what it raised.

    Where nobody asks, because the command ended before, the work ends with the process.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # whatever it is, it is for whoever asks
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> Result:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return wait


def load_torch(plain: bool) -> None:
    """Import what runs pipelines: seconds, in which the raw is being decoded."""
    with progress(plain) as step, no_collection():
        step(0, 1, "loading torch")
        import_module("ispdsl.backends.render")
