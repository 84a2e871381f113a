"""What every `make reproduce-...` command of a learned pass shares: its options, what is said of the machine, files."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "reproduce"


def parser(name: str, about: str | None, seeds: int = 3) -> argparse.ArgumentParser:
    """The options that all have; `given` reads them."""
    made = argparse.ArgumentParser(prog=f"reproduce-{name}", description=about)
    made.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="default: ISPDSL_DATA")
    made.add_argument("--seeds", type=int, default=seeds, help=f"how many, from 0; default: {seeds}")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where networks are trained")
    made.add_argument("--jobs", type=int, default=1, help="processes")
    made.add_argument("--work", type=Path, help="keep answers in this folder, and go on with what is there")
    made.add_argument("--output", type=Path, default=OUTPUT, help="folder of the result")
    return made


def given(made: argparse.ArgumentParser, arguments: list[str] | None = None) -> argparse.Namespace:
    """What was given; ends where there is no data."""
    found = made.parse_args(arguments)
    if found.data is None or not found.data.is_dir():
        made.error("where are pictures and weights? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    return found


def machine(device: str = "cpu", packages: Iterable[str] = ("ispdsl", "torch", "numpy")) -> dict[str, Any]:
    """Where and with which versions it was measured."""
    return {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "device": platform.machine() if device == "cpu" else _graphics(),
        **{package: version(package) for package in packages},
    }


def _graphics() -> str:
    """The name of the graphics processor."""
    import torch

    return torch.cuda.get_device_name()


def sha256(path: Path) -> str:
    """Of a file that a result depends on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept(work: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """An answer that is there already, or is made and then written."""
    path = work / f"{name}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    answer = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(answer), encoding="utf-8")
    unfinished.replace(path)
    return answer


def write(folder: Path, name: str, result: Mapping[str, Any], page: str) -> None:
    """Write a result and its page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page.rstrip() + "\n", encoding="utf-8")
    print(folder / f"{name}.json")
