"""Reports that the golden tests render: one for each thing that an excerpt has to cope with."""

from __future__ import annotations

from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.source import Source, Span

TONE = Source(
    "stdlib/tone.isp",
    "from maths import curve\n"
    "\n"
    "stage exposure(image: rgb<S, f32>) -> rgb<S, f32> {\n"
    "\tslider ev in -18ev..18ev = 20ev\n"
    "  choice 曲線 in {filmic, hable} = flimic\n"
    '  program "ispdsl.programs.tone:exposure"\n'
    "}\n",
)
MATHS = Source("stdlib/maths.isp", "## Curves.\nstage curves() -> luma<S, f32> {\n}\n")
LONG = Source("long.isp", "a" * 400 + " here " + "b" * 400 + "\n" + "露" * 400 + " ここ " + "出" * 400)
HOSTILE = Source("evil\x1b[2J.isp", "stage \x1b[31m\u202edetrevni\u200b \x9b0m\x00\x7f\ud800 e\u0301nd\n")


def at(source: Source, words: str, text: str = "") -> Label:
    """A label on the first place where these words stand."""
    start = source.text.index(words)
    return Label(source, Span(start, start + len(words)), text)


REPORTS = {
    "plain": Report.of(
        [
            Diagnostic(
                "E301", "20ev is outside of -18ev..18ev", at(TONE, "20ev"), (at(TONE, "-18ev..18ev", "the range"),)
            ),
            Diagnostic("W401", "`curve` is imported and never used", at(TONE, "curve"), (), "remove it"),
        ]
    ),
    "other_file": Report.of(
        [
            Diagnostic(
                "E201",
                "maths has no stage `curve`",
                at(TONE, "curve", "not found"),
                (at(MATHS, "curves", "this one is there"),),
                "did you mean `curves`?\nOr write it.",
            )
        ]
    ),
    "wide_characters": Report.of(
        [Diagnostic("E204", "no option `flimic`", at(TONE, "flimic", "unknown"), (at(TONE, "曲線", "in this choice"),))]
    ),
    "several_lines": Report.of(
        [
            Diagnostic(
                "W402",
                "`exposure` has no property",
                Label(TONE, Span(TONE.text.index("stage"), TONE.text.rindex("}") + 1), "never tested"),
                (at(TONE, "slider ev in -18ev..18ev = 20ev\n", "the whole line"),),
            )
        ]
    ),
    "long_lines": Report.of(
        [
            Diagnostic("E101", "narrow", at(LONG, "here", "found")),
            Diagnostic("E101", "wide", at(LONG, "ここ", "found"), (at(LONG, "aaa", "at the edge"),)),
            Diagnostic("E101", "longer than the terminal", at(LONG, "b" * 400, "all of it")),
        ]
    ),
    "control_characters": Report.of(
        [
            Diagnostic(
                "E102",
                "no name: \x1b]0;title\x07\r\n\x85",
                at(HOSTILE, "e\u0301nd", "\x1b[1m"),
                (),
                "\x1b[5mblink\u2066",
            )
        ]
    ),
    "end_of_file": Report.of(
        [
            Diagnostic("E103", "more was expected", Label(MATHS, Span(len(MATHS.text), len(MATHS.text)), "here")),
            Diagnostic("E104", "the file is empty", Label(Source("empty.isp", ""), Span(0, 0))),
            Diagnostic("E105", "no line ends", Label(Source("short.isp", "stage"), Span(5, 5))),
        ]
    ),
}
