"""The application: every command by name, and the entry point."""

from __future__ import annotations

import re
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ispdsl.cli import (
    attack,
    bench,
    chart,
    check,
    compare,
    compile,
    demo,
    distil,
    doctor,
    evaluate,
    explain,
    format,
    frontend,
    joint,
    predict,
    regress,
    run,
    runs,
    sample,
    show,
    stages,
    style,
    sweep,
    train,
    trust,
    tune,
    verify,
)
from ispdsl.cli.console import emit
from ispdsl.interrupts import terminated

ARGUMENT = re.compile(r"^(  [^-\s][^<\n]*?) (<[\w\[\]]+>) *", re.MULTILINE)
"""An argument in a help page, with the Python type that typer puts behind its name."""


class Command(TyperCommand):
    """A command whose help calls arguments by their names alone."""

    def get_help(self, ctx: Any) -> str:
        """The help page."""
        return ARGUMENT.sub(lambda match: match[1].ljust(len(match[0])), super().get_help(ctx))


app = typer.Typer(
    name="ispdsl",
    help="A language for camera image signal processors, and its compiler.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, command in {
    "check": check.check,
    "fmt": format.fmt,
    "tree": show.tree,
    "ir": show.ir,
    "graph": show.graph,
    "plan": show.plan,
    "explain": explain.explain,
    "stages": stages.stages,
    "bench": bench.bench,
    "verify": verify.verify,
    "trust": trust.trust,
    "run": run.run,
    "sweep": sweep.sweep,
    "chart": chart.chart,
    "sample": sample.sample,
    "train": train.train,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "regress": regress.regress,
    "tune": tune.tune,
    "joint": joint.joint,
    "distil": distil.distil,
    "attack": attack.attack,
    "compile": compile.compile,
    "demo": demo.demo,
    "doctor": doctor.doctor,
    "version": doctor.version,
}.items():
    app.command(name, cls=Command)(command)

runs_app = typer.Typer(name="runs", help="What was sampled: run directories.", no_args_is_help=True)
for name, command in {
    "ls": runs.ls,
    "show": runs.show,
    "resume": runs.resume,
    "gc": runs.gc,
    "export": runs.export,
}.items():
    runs_app.command(name, cls=Command)(command)
app.add_typer(runs_app)

predict_app = typer.Typer(name="predict", help="A network that gives every raw its own settings.", no_args_is_help=True)
for name, command in {"train": predict.train, "run": predict.run}.items():
    predict_app.command(name, cls=Command)(command)
app.add_typer(predict_app)
frontend_app = typer.Typer(name="frontend", help="Networks in the place of a demosaic.", no_args_is_help=True)
frontend_app.command("train", cls=Command)(frontend.train)
app.add_typer(frontend_app)
style_app = typer.Typer(name="style", help="Raws finished in the style of other pictures.", no_args_is_help=True)
for name, command in {"train": style.train, "run": style.run, "fit": style.fit}.items():
    style_app.command(name, cls=Command)(command)
app.add_typer(style_app)


def _say_version(wanted: bool) -> None:
    if wanted:
        emit(f"ispdsl {doctor.ispdsl_version()}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 good, 1 diagnostics, 2 usage, 3 unreadable input, 4 a stage or executor failed, "
    "5 output cannot be written, 70 a fault of ispdsl, 130 interrupted."
)
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """A language for camera image signal processors, and its compiler."""


def main() -> None:
    """Run the command line; exits with a code of `ispdsl.cli.boundary.ExitCode`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminated)
    app()
