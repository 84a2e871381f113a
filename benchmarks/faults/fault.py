"""What a fault is: a mistake planted in the source text of one stage's program."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import ndiff
from importlib.util import find_spec
from pathlib import Path

KINDS = (
    "wrong sign",
    "swapped channels",
    "hidden clamp",
    "off-by-one shift",
    "gradient cut",
    "wrong border",
    "missing clip",
    "state kept between calls",
    "wrong constant or unit",
    "wrong channel weight",
    "axis mixed up",
    "batch mixed up",
    "float32 inside",
    "in-place on the input",
    "parameter ignored",
    "parameter applied twice",
    "dead branch",
    "off-by-one radius",
    "missing normalisation",
    "wrong order of operations",
)
"""The ways in which programs go wrong."""

ROOT = Path(__file__).parents[2]


class FaultError(Exception):
    """A fault does not fit the source it is to be planted in."""


@dataclass(frozen=True)
class Fault:
    """A mistake: `old`, which occurs exactly once in the text of `module`, becomes `new`.

    `stage` is the stage whose contract should notice, after the name of its file: ``demosaic.malvar``.
    """

    name: str
    kind: str
    stage: str
    module: str
    old: str
    new: str

    @property
    def file(self) -> Path:
        """The stage's file."""
        return ROOT / "stdlib" / f"{self.stage.partition('.')[0]}.isp"

    @property
    def stage_name(self) -> str:
        """The stage without its file."""
        return self.stage.partition(".")[2]

    @property
    def diff(self) -> str:
        """The lines that change, each after ``-`` or ``+``."""
        lines = ndiff(self.old.strip("\n").splitlines(), self.new.strip("\n").splitlines())
        return "\n".join(f"{line[0]} {line[2:].strip()}" for line in lines if line[0] in "+-")

    def planted(self, source: str) -> str:
        """The source with the fault in it.

        Raises:
            FaultError: `old` does not occur exactly once.
        """
        count = source.count(self.old)
        if count != 1:
            raise FaultError(f"{self.name}: {self.old!r} occurs {count} times in {self.module}, not once")
        return source.replace(self.old, self.new)


def source_of(module: str) -> str:
    """The text of a module, without importing it.

    Raises:
        FaultError: there is no such module with a text.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise FaultError(f"there is no module {module}")
    return Path(spec.origin).read_text(encoding="utf-8")
