"""Write docs/stdlib.md: ``python tools/make_stdlib_page.py``. A test compares it with the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ispdsl.cli.stages import standard
from ispdsl.ir.model import Port, Signature
from ispdsl.render.signature import gist, source_of

PAGE = Path(__file__).parents[1] / "docs" / "stdlib.md"

HEAD = """\
# The standard library

{stages} stages in {files} files, written by `python tools/make_stdlib_page.py` from the declarations in `stdlib/`.
`ispdsl stages NAME` shows all of one: parameters with units and ranges, metadata, statistics, contract; `--json` the
same for programs. A pipeline takes a stage by `from FILE import NAME`. Each stage is held to its `property` lines
([contracts.md](contracts.md)): `ispdsl verify stdlib/FILE.isp --stage NAME` tests them.
"""


BAR = "\\|"
"""A bar inside a cell."""


def page() -> str:
    """The whole page."""
    found = list(standard())
    files = list(dict.fromkeys(key.rpartition(".")[0] for key, _ in found))
    parts = [HEAD.format(stages=len(found), files=len(files))]
    for file in files:
        rows = [row(signature) for key, signature in found if key.rpartition(".")[0] == file]
        parts.append("\n".join((f"## {file}\n", *TABLE, *rows, "")))
    return "\n".join(parts)


TABLE = ("| stage | what it does | from | to | source |", "|---|---|---|---|---|")


def row(signature: Signature) -> str:
    """A stage in a line of its file's table."""
    takes, gives = ("<br>".join(types(ports)) for ports in (signature.inputs, signature.outputs))
    does = gist(signature.doc, 1000)
    cells = (f"`{signature.name}`", does, takes, gives, source_of(signature.doc))
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def types(ports: tuple[Port, ...]) -> Iterator[str]:
    """The types of images and results, as code."""
    return (f"`{port.type}`" for port in ports)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
