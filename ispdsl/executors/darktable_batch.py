"""Many pictures in one start of darktable: a folder of images with a sidecar each, and what came out of them.

The start costs several times what a small picture costs. A picture that fails leaves the others alone: they are run
again without it, since what a start said that ended badly is not believed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ispdsl.executors import darktable_cli as cli
from ispdsl.executors.belief import own_file
from ispdsl.executors.darktable_chain import Recipe
from ispdsl.executors.darktable_xmp import encode_history
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.formats import read_image
from ispdsl.executors.model import Image, Limits
from ispdsl.executors.sandbox import Finished, empty_folder, run_program
from ispdsl.ir.types import Type

FLOATS = Type.parse("rgb<linear_rec2020, f32>")
"""What the files that darktable writes are read as; what the numbers mean is the recipe's matter."""

Write = Callable[[Path, str], Path]
"""Puts an image into a folder under a stem, and returns the path with the suffix that darktable goes by."""


@dataclass(frozen=True)
class Order:
    """What one sample needs: an image, and pictures of it."""

    write: Write
    recipes: tuple[Recipe, ...]
    name: str


@dataclass(frozen=True, eq=False)
class Delivery:
    """The pictures of an order, `(3, H, W)` in the order of its recipes; its share of darktable's seconds."""

    pictures: tuple[Image, ...]
    own: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """How darktable is called: its version, the private folder of its configuration, threads, limits."""

    version: str
    configuration: Path
    threads: int | None
    limits: Limits


@dataclass(frozen=True)
class _Broken:
    """A start that ended badly, and the orders, by index, that lack a picture."""

    error: ExecutorError
    lacking: tuple[int, ...]


def deliver(orders: Sequence[Order], session: Session) -> list[Delivery | ExecutorError]:
    """Run orders in one start; where that ends badly, those to blame alone and the others again."""
    outcome = _start(orders, session)
    if not isinstance(outcome, _Broken):
        return outcome
    if len(orders) == 1:
        return [_explained(outcome.error, orders[0], session)]
    said_so = (outcome.error.status or 0) > 0  # darktable went on to the end, and told that some failed
    blamed = outcome.lacking if said_so else outcome.lacking[:1]
    alone = blamed or tuple(range(len(orders)))
    results = {index: deliver([orders[index]], session)[0] for index in alone}
    rest = [index for index in range(len(orders)) if index not in results]
    if rest:
        results |= dict(zip(rest, deliver([orders[index] for index in rest], session), strict=True))
    return [results[index] for index in range(len(orders))]


def _start(orders: Sequence[Order], session: Session) -> list[Delivery | ExecutorError] | _Broken:
    with empty_folder() as folder:
        (folder / cli.IMAGES).mkdir()
        (folder / cli.RESULTS).mkdir()
        for number, order in enumerate(orders):
            _lay_out(order, folder / cli.IMAGES, number)
        command = cli.command_line(session.configuration, session.threads)
        since = time.time()
        try:
            finished = run_program(command, folder, session.limits, environment=cli.ENVIRONMENT)
        except ExecutorError as error:
            lacking = [n for n, order in enumerate(orders) if not all(_made(folder, n, k) for k in _range(order))]
            return _Broken(error, tuple(lacking))
        said = cli.pictures(finished.errors)
        found: list[Delivery | ExecutorError] = []
        for number, order in enumerate(orders):
            try:
                found.append(_collect(order, number, folder, since, finished, said, len(orders), session))
            except ExecutorError as error:
                found.append(error)
        return found


def _range(order: Order) -> range:
    return range(len(order.recipes))


def _stem(number: int, k: int) -> str:
    return f"s{number:04d}_{k:02d}"


def _result(folder: Path, number: int, k: int) -> Path:
    return folder / cli.RESULTS / f"{_stem(number, k)}{cli.SUFFIX}"


def _made(folder: Path, number: int, k: int) -> bool:
    return _result(folder, number, k).exists()


def _lay_out(order: Order, folder: Path, number: int) -> None:
    """The image once, under further names by hard links, and the sidecar of each."""
    first = order.write(folder, _stem(number, 0))
    for k, recipe in enumerate(order.recipes):
        image = folder / f"{_stem(number, k)}{first.suffix}"
        if k:
            os.link(first, image)
        image.with_name(f"{image.name}.xmp").write_bytes(encode_history(recipe.entries))


def _collect(
    order: Order,
    number: int,
    folder: Path,
    since: float,
    finished: Finished,
    said: dict[str, cli.Said],
    count: int,
    session: Session,
) -> Delivery:
    pictures: list[Image] = []
    for k, recipe in enumerate(order.recipes):
        path = own_file(_result(folder, number, k), folder, since, finished.command)
        cli.check_modules(said.get(_stem(number, k)), recipe.wanted, recipe.implied, session.version)
        pictures.append(read_image(path, FLOATS, "pfm"))
    return Delivery(tuple(pictures), finished.seconds / count, finished.command)


def _explained(error: ExecutorError, order: Order, session: Session) -> ExecutorError:
    """Darktable's own words where it does not open an image: its exit status alone says nothing."""
    if error.fault is not Fault.CRASH or (error.status or 0) < 0:
        return error
    message = f"darktable {session.version} makes no picture of {order.name}; it said:\n{error.tail}"
    hint = "if it does not open the file: executor darktable(input = frame) gives it the mosaic as a DNG"
    return ExecutorError(error.fault, message, hint, command=error.command, status=error.status, tail=error.tail)
