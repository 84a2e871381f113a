"""What a page on a property of a contract says, and what is the same on many of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A property explained; plain text throughout, paragraphs parted by an empty line.

    `usage` is the form of its line and `parts` say what each part of it means for this very property. `right` is a
    whole file that is clean and holds `line` once; the same file with `wrong` in its place earns `code`.
    `seen` quotes the standard library, as pairs of a stage with its file and one of its lines.
    """

    name: str
    title: str
    usage: str
    meaning: str
    parts: tuple[tuple[str, str], ...]
    tried: str
    tolerance: str
    catches: str
    seen: tuple[tuple[str, str], ...]
    right: str
    line: str
    wrong: str
    code: str


WHEN = (
    "when CONDITION",
    "only where all of it holds: `p == 1` sets p, `p >= 1` draws it there, `image >= 0` speaks of every value of the "
    "image",
)

WITHIN = (
    "within V",
    "how far a value may be off: absolute (0.02 or `2%`), in `1lsb` (a code of an integer output, else 1/255), or as "
    "`40dB` (1 % of the largest value, so a PSNR of 40 dB or more)",
)

ROUNDING = "Rounding in float64: 1e-7 of the largest value, of 1 at least."

EVERYWHERE = "All images (`ispdsl explain implied` lists them), at every legal setting."


def stage(signature: str, *lines: str) -> str:
    """A file of one stage whose program is named after it."""
    name = signature.partition("(")[0]
    parts = ["\n".join(f"  {line}" for line in lines), f'  program "my_isp:{name}"']
    return f"stage {signature} {{\n" + "\n\n".join(filter(None, parts)) + "\n}\n"


def with_property(text: str, *lines: str) -> str:
    """The file with property lines at the end of its last stage."""
    return text.removesuffix("}\n") + "\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
