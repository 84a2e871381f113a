"""The pytest plugin: every property of every ``.isp`` file is a test item.

``pytest stdlib/ pipelines/`` in a repository of stages is all that it takes. In the settings of pytest,
``ispdsl_files`` says which files are collected (patterns relative to the root, by default all), ``ispdsl_trust`` which
packages of programs may run, ``ispdsl_examples`` how many legal calls each property is tried on.
"""

from __future__ import annotations

import argparse
import fnmatch
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ispdsl.contracts.engine import Task, Verdict
    from ispdsl.contracts.subject import Subject

EXAMPLES = 50

FOLDER = "counterexamples"
"""Where counterexamples are kept; what lies there is not collected."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and the settings that they override."""
    group = parser.getgroup("ispdsl", "contracts of .isp files")
    group.addoption("--isp-examples", type=_positive, metavar="N", help="legal calls tried for each property")
    group.addoption("--isp-seed", type=_seed, default=0, metavar="S", help="the same seed tries the same calls")
    group.addoption("--isp-impl", choices=("program", "proxy", "executor"), help="only implementations of this kind")
    parser.addini("ispdsl_files", "patterns of the .isp files to collect", type="args", default=["*.isp"])
    parser.addini("ispdsl_trust", "packages whose programs may run", type="args", default=[])
    parser.addini("ispdsl_examples", "legal calls tried for each property", default=str(EXAMPLES))


def _positive(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of {least} or more")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """The markers, so that ``--strict-markers`` knows them.

    Raises:
        UsageError: ``ispdsl_examples`` is no number of examples.
    """
    try:
        _positive(config.getini("ispdsl_examples"))
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"ispdsl_examples: {error}") from error
    config.addinivalue_line("markers", "isp: a property of a .isp file")
    config.addinivalue_line("markers", "isp_export: that a program survives torch.export, which takes seconds")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the ``.isp`` files that the settings name."""
    if file_path.suffix != ".isp" or FOLDER in file_path.parts:
        return None
    root = parent.config.rootpath
    name = file_path.relative_to(root).as_posix() if file_path.is_relative_to(root) else file_path.as_posix()
    patterns: list[str] = parent.config.getini("ispdsl_files")
    if not any(fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/") for pattern in patterns):
        return None
    return IspFile.from_parent(parent, path=file_path)


class WrongFileError(Exception):
    """A file that cannot be tested, with the report that says why."""


class IspFile(pytest.File):
    """A ``.isp`` file: its stages and pipelines."""

    def collect(self) -> Iterator[IspStage]:
        """One collector for each stage and pipeline of which something can be tested.

        Raises:
            WrongFileError: the file is wrong, or a program of it may not run.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what dependencies say to themselves when they are imported
            from ispdsl.contracts.engine import tasks
            from ispdsl.contracts.implementations import absent
            from ispdsl.contracts.subject import subjects
            from ispdsl.errors import UserError
            from ispdsl.lower.loader import IspError

        kind = self.config.getoption("--isp-impl")
        trust = tuple(self.config.getini("ispdsl_trust"))
        try:
            found = subjects(self.path)
            todo = tasks(found, kind, trust)
        except IspError as error:
            raise WrongFileError(str(error)) from error
        except UserError as error:
            hint = f"\n{error.hint}" if error.hint else ""
            trusted = "\nin pytest's settings: ispdsl_trust" if "trust" in (error.hint or "") else ""
            raise WrongFileError(f"{error.message}{hint}{trusted}") from error
        for subject in found:
            own = [task for task in todo if task.subject is subject]
            missing = list(absent(subject, kind))
            if own or missing:
                yield IspStage.from_parent(self, name=subject.name, subject=subject, todo=own, missing=missing)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A wrong file is shown as the compiler shows it."""
        return str(excinfo.value) if isinstance(excinfo.value, WrongFileError) else super().repr_failure(excinfo)


class IspStage(pytest.Collector):
    """A stage or pipeline; its items are its properties."""

    def __init__(
        self, *, subject: Subject, todo: Sequence[Task], missing: Sequence[tuple[str, str]], **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self._subject, self._todo, self._missing = subject, todo, missing

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each property and implementation, and one for each implementation that cannot run here."""
        several = len(self._subject.signature.implementations) > 1
        for task in self._todo:
            suffix = f"[{task.implementation}]" if several else ""
            yield PropertyItem.from_parent(self, name=f"{task.line}{suffix}", task=task)
        line = self._subject.signature.location.line
        for name, reason in self._missing:
            yield AbsentItem.from_parent(self, name=name, reason=reason, line=line)


class PropertyFailedError(Exception):
    """A property does not hold."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.subject.name}: {verdict.line}")
        self.verdict = verdict


class PropertyItem(pytest.Item):
    """One property for one implementation."""

    def __init__(self, *, task: Task, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._task = task
        self.add_marker("isp")
        if task.line.name == "exports":
            self.add_marker("isp_export")

    def runtest(self) -> None:
        """Try to break it.

        Raises:
            PropertyFailedError: it is broken, or nothing legal meets its conditions.
        """
        from ispdsl.contracts.engine import check

        examples = self.config.getoption("--isp-examples") or int(self.config.getini("ispdsl_examples"))
        seed: int = self.config.getoption("--isp-seed") or 0
        verdict = check(self._task, examples, seed)
        if verdict.outcome != "holds":
            raise PropertyFailedError(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The line, the property and the smallest counterexample."""
        if not isinstance(excinfo.value, PropertyFailedError):
            return super().repr_failure(excinfo)
        from ispdsl.contracts.counterexample import report

        return report(excinfo.value.verdict, self.config.rootpath / FOLDER)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the property is written."""
        return self.path, self._task.line.location.line - 1, f"{self._task.subject.name}::{self.name}"


class AbsentItem(pytest.Item):
    """An implementation that is declared and cannot run here."""

    def __init__(self, *, reason: str, line: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._reason, self._line = reason, line
        self.add_marker("isp")

    def runtest(self) -> None:
        """Say so."""
        pytest.skip(self._reason)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the stage is written."""
        return self.path, self._line - 1, self.name
