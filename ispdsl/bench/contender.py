"""A contender: a way from a raw to a picture whose time is measured beside others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from ispdsl.bench.job import Job
from ispdsl.errors import UserError

Call = Callable[[], object]
"""Develops once; what it gives is the picture."""
Prepare = Callable[[Job], Call]
"""Reads the raw, compiles what is to be compiled, and hands back what is timed."""


class ContenderError(UserError):
    """A contender cannot take part: what it lacks, and how to get it."""


@dataclass(frozen=True)
class Package:
    """A Python package that a contender needs besides those of ispdsl."""

    module: str
    distribution: str


@dataclass(frozen=True)
class Contender:
    """One way to develop."""

    name: str
    """As the command line has it."""
    does: str
    """What is timed, in a few words."""
    prepare: Prepare
    gradient: Prepare | None = None
    """As `prepare`, for the gradient of a mean square to all free numbers; None where it has none."""
    packages: tuple[Package, ...] = ()
    programs: tuple[str, ...] = ()
    """Programs of which it needs one."""


def missing(contender: Contender) -> str | None:
    """What a contender lacks on this machine and how to get it, in a line; None where it can take part."""
    absent = [each.distribution for each in contender.packages if find_spec(each.module) is None]
    if absent:
        return f"pip install {' '.join(absent)}"
    if contender.programs and not any(map(shutil.which, contender.programs)):
        return f"needs one of the programs {', '.join(contender.programs)}"
    return None
