"""E2xx: names, imports, calls."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry

_GAIN = """stage gain(image: rgb<S, f32>) -> rgb<S, f32> {
  slider amount in 0..4 = 1
  program "my_isp.programs:gain"
}
"""


def _pipeline(body: str) -> str:
    return f"{_GAIN}\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n{body}}}\n"


NAMES: tuple[Entry, ...] = (
    Entry(
        "E201",
        "unknown stage",
        "A call names a stage or pipeline that this file neither declares nor imports. Standard stages are imported by "
        "the name of their file: from tone import exposure. `ispdsl stages` lists them all.",
        _pipeline("  out = image -> gian(amount = 2)\n"),
        _pipeline("  out = image -> gain(amount = 2)\n"),
    ),
    Entry(
        "E202",
        "unknown value or metadata",
        "A name in the dataflow stands for no input, result, intermediate value, tap or statistic of this pipeline; or "
        "metadata is asked for that the pipeline does not declare.",
        _pipeline("  out = imag -> gain\n"),
        _pipeline("  out = image -> gain\n"),
    ),
    Entry(
        "E203",
        "unknown parameter",
        "A call gives a value to a parameter that the stage does not have. Images are given by position and "
        "not by name.",
        _pipeline("  out = image -> gain(amout = 2)\n"),
        _pipeline("  out = image -> gain(amount = 2)\n"),
    ),
    Entry(
        "E204",
        "declared or imported twice",
        "A file gives one name to two stages or pipelines, its own or imported ones. Callers could not tell "
        "them apart.",
        _GAIN + "\n" + _GAIN,
        _GAIN + "\n" + _GAIN.replace("stage gain", "stage second_gain"),
    ),
    Entry(
        "E205",
        "two parts of one name",
        "Inputs, parameters, metadata and needed statistics of a stage share one name space, since a call gives them "
        "all by name; results have their own.",
        _GAIN.replace("  program", "  slider amount in 0..1 = 0\n  program"),
        _GAIN.replace("  program", "  slider offset in 0..1 = 0\n  program"),
    ),
    Entry(
        "E206",
        "two nodes or values of one name",
        "Every call is a node named after its stage, and every parameter has one address such as gain.amount. A second "
        "call of a stage in one pipeline needs a name of its own: `as` gives it. A value is defined once.",
        _pipeline("  out = image -> gain(amount = 2) -> gain(amount = 3)\n"),
        _pipeline("  out = image -> gain(amount = 2) -> gain(amount = 3) as second_gain\n"),
    ),
    Entry(
        "E207",
        "no such file to import",
        "An import without quotes is looked for beside the file, in the project's stdlib/ folder and in the standard "
        "library; with quotes it is the path of a .isp file beside this one.",
        "from tones import exposure\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposure\n}\n",
        "from tone import exposure\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposure\n}\n",
    ),
    Entry(
        "E208",
        "the imported file has no such name",
        "The file was found, but declares no stage or pipeline of this name. What it imports itself is not passed on.",
        "from tone import exposur\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposur\n}\n",
        "from tone import exposure\n\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        "  out = image -> exposure\n}\n",
    ),
    Entry(
        "E209",
        "imports run in a circle",
        "A file imports itself, directly or through others. What both need belongs into a third file. The example is a "
        "file called example.isp.",
        'from "example.isp" import gain\n',
        _GAIN,
    ),
    Entry(
        "E210",
        "unknown property",
        "A property line is a test that runs; one that nobody knows how to run would be believed for nothing. The "
        "vocabulary is closed.",
        _GAIN.replace("  program", "  property monotonic in image\n  program"),
        _GAIN.replace("  program", "  property monotone in image\n  program"),
    ),
    Entry(
        "E211",
        "a property speaks of something that the stage has not",
        "`in` and `when` name images, parameters and metadata of the stage.",
        _GAIN.replace("  program", "  property monotone in amuont\n  program"),
        _GAIN.replace("  program", "  property monotone in amount\n  program"),
    ),
    Entry(
        "E212",
        "a point in a name",
        "Points join names into addresses: denoise.luma.strength is the parameter strength of the node luma "
        "in the node "
        "denoise. A name that is declared holds none.",
        _GAIN.replace("slider amount", "slider amount.red"),
        _GAIN.replace("slider amount", "slider amount_red"),
    ),
    Entry(
        "E213",
        "a pipeline calls itself",
        "A pipeline is a finite graph. One that contains itself would not end.",
        "pipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n  out = image -> p\n}\n",
        _pipeline("  out = image -> gain\n"),
    ),
    Entry(
        "E214",
        "a result is never assigned",
        "A pipeline names its results in its signature and assigns each of them in its body.",
        _pipeline("  result = image -> gain -> tap gained\n"),
        _pipeline("  out = image -> gain -> tap gained\n"),
    ),
    Entry(
        "E215",
        "an argument is given twice",
        "A call gives each parameter one value.",
        _pipeline("  out = image -> gain(amount = 2, amount = 3)\n"),
        _pipeline("  out = image -> gain(amount = 3)\n"),
    ),
)
