"""Imports point one way, and the front of the compiler starts without the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ispdsl"

FRONT = {"errors", "source", "caches", "diagnostics", "syntax", "catalogue", "ir", "lower", "render"}
"""What `ispdsl check` consists of besides the command line."""

HEAVY = {"torch", "numpy", "networkx", "rich", "kornia", "rawpy", "tifffile", "PIL", "skimage"}

LAYERS = (
    *("diagnostics", "syntax", "ir", "lower", "graph", "passes", "plan", "backends"),
    *("sampling", "training", "evaluation", "bench", "optimise", "learned", "export", "cli"),
)
"""From the bottom up: a layer knows those before it."""

TORCH = {"backends", "sampling", "training", "evaluation", "bench", "optimise", "learned", "export"}

RANK = {name: rank for rank, name in enumerate(LAYERS)}

BESIDE = {
    "errors": -1,
    "source": -1,
    "interrupts": -1,
    "catalogue": RANK["diagnostics"],
    "render": RANK["lower"],
    "graph_svg": RANK["graph"],
}
"""Modules that stand beside a layer: they know it and what is below."""

APART = {
    "runtime": {"errors", "diagnostics", "ir"},
    "programs": {"errors", "ir", "runtime"},
    "executors": {"errors", "diagnostics", "ir", "runtime"},
    "device": {"executors"},
    "proxies": {"errors", "ir", "runtime"},
    "store": {"errors", "ir", "runtime"},
    "vision": {"errors"},
}
"""What is known to the packages that stand apart from the layers."""


def room(path: Path) -> str:
    """The first name below ``ispdsl``: ``lower`` for ispdsl/lower/call.py, ``graph`` for ispdsl/graph.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path, *, everywhere: bool) -> Iterator[str]:
    """The full names of modules that a file imports; outside functions and type checking only, unless `everywhere`."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            if node.module == "ispdsl":
                yield from (f"ispdsl.{alias.name}" for alias in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if everywhere or not (lazy or typing):
            waiting.extend(each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr))


def rooms_of(path: Path, *, everywhere: bool = True) -> set[str]:
    names = (name.split(".") for name in imported(path, everywhere=everywhere))
    return {parts[1] for parts in names if parts[0] == "ispdsl" and len(parts) > 1} - {room(path)}


def rank(name: str) -> int | None:
    return RANK.get(name, BESIDE.get(name))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    known = rooms_of(path)
    if own in APART:
        assert known <= APART[own], f"{own} knows {sorted(APART[own])} only"
    own_rank = rank(own)
    if own_rank is not None:
        above = {name for name in known if (found := rank(name)) is not None and found > own_rank}
        assert not above, f"{own} stands below {sorted(above)}"
    if own in FRONT:
        assert known <= FRONT, f"{own} is of the front, {sorted(known - FRONT)} is not"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_heavy_libraries_are_imported_where_they_belong(path: Path) -> None:
    own = room(path)
    found = {name.split(".")[0] for name in imported(path, everywhere=own in FRONT)}
    if own in FRONT:
        assert not found & HEAVY
    if own in {*RANK, *BESIDE, "runtime"} - TORCH:
        assert not found & {"torch", "kornia"}, "torch is for programs, proxies, backends and what stands on them"


def test_checking_everything_loads_no_heavy_library() -> None:
    text = f"""
import sys
from pathlib import Path
from ispdsl.lower.loader import empty_library, load_report
from ispdsl.render import human, json, sarif
library = empty_library()
files = [*Path({str(ROOT / "stdlib")!r}).rglob("*.isp"), *Path({str(ROOT / "pipelines")!r}).rglob("*.isp")]
assert len(files) > 8
for path in files:
    module, report = load_report(path, library)
    assert module is not None, human.render(report)
wrong = load_report({str(ROOT / "tests" / "errors" / "night_mode.isp")!r})[1]
human.render(wrong), json.render(wrong), sarif.render(wrong, "0")
print(*sorted({{name.split(".")[0] for name in sys.modules}} & {HEAVY!r}))
"""
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []


def test_the_command_line_checks_without_torch() -> None:
    text = f"""
import sys
from ispdsl.cli.app import main
sys.argv = ["ispdsl", "check", {str(ROOT / "stdlib")!r}, {str(ROOT / "pipelines")!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sorted({{name.split(".")[0] for name in sys.modules}} & {{"torch", "numpy", "networkx", "kornia", "rawpy"}}))
"""
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
