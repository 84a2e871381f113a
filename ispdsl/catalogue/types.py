"""E3xx: types, and values that do not fit them."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry

_STAGE = """stage tone_curve(image: rgb<srgb, f32>) -> rgb<srgb, unit> {
  program "my_isp.programs:curve"
}
"""

_CHAIN = """stage develop(mosaic: raw<rggb, f32>) -> rgb<linear_srgb, f32> {
  program "my_isp.programs:develop"
}

stage correct(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32> {
  matrix m[3, 3] = identity
  program "my_isp.programs:correct"
}

stage encode(image: rgb<linear_srgb, f32>) -> rgb<srgb, unit> {
  program "my_isp.programs:encode"
}
"""


def _chain(flow: str, mosaic: str = "raw<rggb, f32>") -> str:
    return f"{_CHAIN}\npipeline p(mosaic: {mosaic}) -> (out: rgb<srgb, unit>) {{\n  out = {flow}\n}}\n"


_SPLIT = """stage split(image: rgb<S, f32>) -> (luma: luma<S, f32>, chroma: chroma<S, f32>) {
  program "my_isp.programs:split"
}

stage smooth(image: luma<S, f32>) -> luma<S, f32> {
  program "my_isp.programs:smooth"
}

stage join(luma: luma<S, f32>, chroma: chroma<S, f32>) -> rgb<S, f32> {
  program "my_isp.programs:join"
}
"""


def _split(flow: str) -> str:
    return f"{_SPLIT}\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n{flow}}}\n"


_METER = """stage meter(image: rgb<S, f32>) -> vector<16> {
  program "my_isp.programs:meter"
}
"""

_TONE = """
stage tone(image: rgb<S, f32>) -> rgb<S, f32> {
  needs levels: vector<16>
  program "my_isp.programs:tone"
}
"""


def _tone(stat: str, tone: str = _TONE, meter: str = _METER) -> str:
    return (
        f"{meter}{tone}\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n"
        f"{stat}  out = image -> tone(levels = seen)\n}}\n"
    )


def _lift(meta: str) -> str:
    return (
        "stage lift(image: rgb<S, f32>) -> rgb<S, f32> {\n"
        '  meta bias: real<ev>\n  program "my_isp.programs:lift"\n}\n\n'
        "pipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {\n"
        f"  {meta}\n  out = image -> lift(bias = gain)\n}}\n"
    )


TYPES: tuple[Entry, ...] = (
    Entry(
        "E301",
        "unknown type",
        "Images are raw, rgb, luma or chroma; statistics and metadata are real, vector, matrix, grid or text.",
        _STAGE.replace("image: rgb", "image: rbg"),
        _STAGE,
    ),
    Entry(
        "E302",
        "wrong arguments of a type",
        "Images take a colour space (raw: a CFA) and a storage: rgb<linear_srgb, f32>. vector takes a size, "
        "matrix two.",
        _STAGE.replace("rgb<srgb, f32>", "rgb<srgb>"),
        _STAGE,
    ),
    Entry(
        "E303",
        "unknown colour space",
        "A colour space decides which stages fit: a colour matrix wants linear light, the display an encoded one.",
        _STAGE.replace("rgb<srgb, f32>", "rgb<sRGB, f32>"),
        _STAGE,
    ),
    Entry(
        "E304",
        "unknown CFA",
        "A CFA is named by the four colours of its top left 2x2 sites in reading order: only Bayer patterns are "
        "handled, and neither X-Trans nor quad Bayer; `linear` has all three at every site. One capital letter stands "
        "for any.",
        'stage black(mosaic: raw<rgbg, u12>) -> raw<rggb, f32> {\n  program "my_isp.programs:black"\n}\n',
        'stage black(mosaic: raw<rggb, u12>) -> raw<rggb, f32> {\n  program "my_isp.programs:black"\n}\n',
    ),
    Entry(
        "E305",
        "unknown storage",
        "A storage says what numbers an image holds: u12 are 12-bit codes, unit is within 0..1, f32 is any number with "
        "1 for white.",
        _STAGE.replace("rgb<srgb, f32>", "rgb<srgb, float>"),
        _STAGE,
    ),
    Entry(
        "E306",
        "the wrong kind of value",
        "A stage is fed with a value of another layout: a mosaic where colour is asked for, a statistic where an image "
        "is, a vector of another size.",
        _chain("mosaic -> correct -> encode"),
        _chain("mosaic -> develop -> correct -> encode"),
    ),
    Entry(
        "E307",
        "the wrong colour space",
        "The types keep colour honest: a second transfer curve, or a matrix after the first one, is an error here and "
        "not a strange picture later.",
        _chain("mosaic -> develop -> encode -> encode as again"),
        _chain("mosaic -> develop -> encode"),
    ),
    Entry(
        "E308",
        "the wrong CFA",
        "A stage for one CFA phase is fed with a mosaic of another, so that red and blue would change places.",
        _chain("mosaic -> develop -> encode", "raw<bggr, f32>"),
        _chain("mosaic -> develop -> encode", "raw<rggb, f32>"),
    ),
    Entry(
        "E309",
        "the wrong storage",
        "Integer codes, light and values within 0..1 are not the same numbers. `unit` is accepted where f32 is asked "
        "for, and u12 where u16 is; all else takes a stage that converts.",
        _chain("mosaic -> develop -> encode", "raw<rggb, u12>"),
        _chain("mosaic -> develop -> encode", "raw<rggb, f32>"),
    ),
    Entry(
        "E311",
        "the wrong number of images",
        "`->` feeds a stage's first image; further images stand in the parentheses, in the order of the declaration.",
        _split("  luma, chroma = split(image)\n  out = luma -> smooth -> join\n  rest = chroma -> tap kept\n"),
        _split("  luma, chroma = split(image)\n  out = luma -> smooth -> join(chroma)\n"),
    ),
    Entry(
        "E312",
        "a stage with several results in a chain",
        "A chain carries one value. A stage with several results stands alone, and its results get names: "
        "a, b = split(image).",
        _split("  out = image -> split -> join\n"),
        _split("  luma, chroma = split(image)\n  out = luma -> join(chroma)\n"),
    ),
    Entry(
        "E313",
        "a result's type is left open",
        "A type variable of a result takes its meaning from an input. One that stands in no input means nothing.",
        _STAGE.replace("-> rgb<srgb, unit>", "-> rgb<S, unit>"),
        _STAGE,
    ),
    Entry(
        "E314",
        "the wrong statistic",
        "A stage needs a statistic of one type and size, and is given something else.",
        _tone("  stat seen = meter() of image\n", meter=_METER.replace("vector<16>", "vector<8>")),
        _tone("  stat seen = meter() of image\n"),
    ),
    Entry(
        "E315",
        "an image where none can be, or something else where one must be",
        "Metadata and needed statistics are numbers, vectors, matrices or grids. Images are inputs, and inputs are "
        "images.",
        _TONE.replace("vector<16>", "rgb<S, f32>").lstrip(),
        _TONE.lstrip(),
    ),
    Entry(
        "E316",
        "metadata of another type",
        "A stage's metadata is bound to the pipeline's of exactly the same type, unit included.",
        _lift("meta gain: real"),
        _lift("meta gain: real<ev>"),
    ),
)
