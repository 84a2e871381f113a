"""E5xx: dataflow, implementations, contracts. W6xx: what is declared and never used, or not quite as written."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry

_GAIN = """stage gain(image: rgb<S, f32>) -> rgb<S, f32> {
  slider amount in 0..4 = 1
  program "my_isp.programs:gain"
}
"""

_METER = """
stage meter(image: rgb<S, f32>) -> real {
  program "my_isp.programs:meter"
}

stage adapt(image: rgb<S, f32>) -> rgb<S, f32> {
  needs level: real
  program "my_isp.programs:adapt"
}
"""


def _pipeline(body: str, stages: str = _GAIN) -> str:
    return f"{stages}\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n{body}}}\n"


def _with(line: str) -> str:
    return _GAIN.replace("  program", f"  {line}\n  program")


FLOW: tuple[Entry, ...] = (
    Entry(
        "E501",
        "values depend on each other",
        "The order of the text is free, but a value cannot come from itself. Feedback, as in automatic exposure, goes "
        "through a statistic of the frame before.",
        _pipeline("  stat level = meter() of out\n  out = image -> adapt(level = level)\n", _METER.lstrip()),
        _pipeline("  stat level = meter() of previous out\n  out = image -> adapt(level = level)\n", _METER.lstrip()),
    ),
    Entry(
        "E503",
        "not the name of a function",
        "A program is a Python function: the module, a colon, the function's name.",
        _GAIN.replace("my_isp.programs:gain", "my_isp/programs.py gain"),
        _GAIN,
    ),
    Entry(
        "E504",
        "two implementations of one kind",
        "A stage has at most one program, one proxy and one executor. Which of them runs is chosen when compiling. A "
        "pipeline has at most one predictor.",
        _with('program "my_isp.fast:gain"'),
        _GAIN,
    ),
    Entry(
        "E505",
        "the footprint is stated twice",
        "pointwise, local and global say how much of its input an output pixel depends on; one of them is true.",
        _with("property pointwise\n  property local within 3px"),
        _with("property pointwise"),
    ),
    Entry(
        "E506",
        "a condition cannot be evaluated",
        "A condition compares a parameter or metadata with a value of its own kind.",
        _with('property identity when amount == "one"'),
        _with("property identity when amount == 1"),
    ),
    Entry(
        "E507",
        "a property is not well formed",
        "Each property takes what its meaning needs: local a radius, monotone what it is monotone in, "
        "commutes_with the "
        "operations, range the range. A bound is not negative. `ispdsl explain property NAME` tells.",
        _with("property commutes_with flip"),
        _with("property commutes_with hflip"),
    ),
    Entry(
        "E508",
        "the file of a predictor cannot be used",
        "A predictor line names a .safetensors file relative to the .isp file, inside its folder. `ispdsl predict "
        "train` writes it.",
        _pipeline('  predictor "/home/me/finish.safetensors"\n  out = image -> gain\n'),
        _pipeline("  out = image -> gain\n"),
    ),
)

WARNINGS: tuple[Entry, ...] = (
    Entry(
        "W601",
        "imported and never used",
        "The file imports a stage that it does not call.",
        "from tone import exposure, contrast\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposure\n}\n",
        "from tone import exposure\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposure\n}\n",
    ),
    Entry(
        "W602",
        "a value that nothing reads",
        "An input or an intermediate value leads nowhere: no stage, tap or result uses it, so what makes it "
        "is left out.",
        _pipeline("  brighter = image -> gain(amount = 2)\n  out = image -> gain(amount = 3) as other\n"),
        _pipeline("  brighter = image -> gain(amount = 2)\n  out = brighter -> gain(amount = 3) as other\n"),
    ),
    Entry(
        "W603",
        "a parameter that drives nothing",
        "A pipeline's parameter is given to no stage, so that moving it changes nothing.",
        _pipeline("  slider strength in 0..1 = 1\n  out = image -> gain\n"),
        _pipeline("  slider strength in 0..1 = 1\n  out = image -> gain(amount = strength)\n"),
    ),
    Entry(
        "W604",
        "metadata that nothing reads",
        "A pipeline asks for metadata and gives it to no stage.",
        _pipeline("  meta iso: real\n  out = image -> gain\n"),
        _pipeline("  out = image -> gain\n"),
    ),
    Entry(
        "W605",
        "a statistic that nothing reads",
        "A statistic is computed, or asked for, and given to no stage.",
        _pipeline("  stat level = meter() of image\n  out = image -> gain\n", _GAIN + _METER),
        _pipeline("  stat level = meter() of image\n  out = image -> adapt(level = level)\n", _GAIN + _METER),
    ),
    Entry(
        "W606",
        "nothing runs the stage",
        "A stage without program, proxy or executor can be checked and drawn, but not run. Stages of a pipeline with "
        "an executor line of its own need none: they say what it is believed to do.",
        "stage gain(image: rgb<S, f32>) -> rgb<S, f32> {\n  slider amount in 0..4 = 1\n}\n",
        _GAIN,
    ),
    Entry(
        "W607",
        "a value between two codes",
        "A register holds multiples of its format's step. The nearest is taken.",
        "stage isp(image: raw<rggb, u12>) -> raw<rggb, u12> {\n  register gain @ 0x100[11:0] : u4.8 = 1.3\n"
        '  program "my_isp.programs:isp"\n}\n',
        "stage isp(image: raw<rggb, u12>) -> raw<rggb, u12> {\n  register gain @ 0x100[11:0] : u4.8 = 1.30078125\n"
        '  program "my_isp.programs:isp"\n}\n',
    ),
    Entry(
        "W608",
        "the file of a predictor is not there",
        "A predictor line names a file that `ispdsl predict train` has not written yet. `ispdsl run` needs it; "
        "checking and training do not.",
        _pipeline('  predictor "no_such_file.safetensors"\n  out = image -> gain\n'),
        _pipeline("  out = image -> gain\n"),
    ),
)
