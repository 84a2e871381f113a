"""The predictor line of a pipeline: a file beside the text, which is named and not opened."""

from __future__ import annotations

from pathlib import PurePosixPath

from ispdsl.ir.model import PredictorFile
from ispdsl.lower.scope import Sink
from ispdsl.lower.search import is_file
from ispdsl.syntax import tree as t

SUFFIX = ".safetensors"


def lower_predictor(tree: t.Declaration, sink: Sink) -> PredictorFile | None:
    """The file of the predictor line; what is wrong is reported, and None.

    A file that is not there yet is no error: whoever trains it has to build the pipeline first.
    """
    lines = [item for item in tree.items if isinstance(item, t.Predictor)]
    for second in lines[1:]:
        related = [sink.label(lines[0].span, "first here")]
        sink.add("E504", f"{tree.name.text} has two predictor lines", second.span, related=related, hint="keep one")
    if not lines:
        return None
    name, span = lines[0].path.text, lines[0].path.span
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts
    if outside or path.suffix != SUFFIX:
        what = "a predictor's file is named relative to the .isp file, inside its folder"
        what = what if outside else f"{path.name} is no file of a predictor, which ends in {SUFFIX}"
        sink.add("E508", what, span, hint='such as predictor "finish.safetensors"')
        return None
    folder = sink.source.path.parent if sink.source.path else None
    if folder is not None and not is_file(folder / path):
        sink.add("W608", f"there is no file {name} yet", span, hint="`ispdsl predict train` writes it")
    return PredictorFile(path=name, location=sink.place(span), folder=str(folder.resolve()) if folder else "")
