"""E4xx: parameters, units, ranges, registers, tables."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry


def _stage(line: str) -> str:
    return f'stage s(image: rgb<S, f32>) -> rgb<S, f32> {{\n  {line}\n  program "my_isp.programs:s"\n}}\n'


def _call(line: str, arguments: str, own: str = "") -> str:
    pipeline = (
        f"pipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n{own}  out = image -> s({arguments})\n}}\n"
    )
    return f"{_stage(line)}\n{pipeline}"


_EV = "slider ev in -4ev..4ev = 0ev"
_METHOD = "choice method in {fast, good} = good"

PARAMETERS: tuple[Entry, ...] = (
    Entry(
        "E401",
        "unknown unit",
        "Numbers carry the unit glued on: 0.5ev, 50%, 5500K, 2px, 12bit.",
        _stage("slider ev in -4ev..4ev = 0stops"),
        _stage(_EV),
    ),
    Entry(
        "E402",
        "a unit is missing, or another dimension",
        "A parameter declared in a unit takes numbers in that unit or one of the same dimension. Without a "
        "unit only 0 is "
        "taken, since it is the same in all of them.",
        _call(_EV, "ev = 0.7"),
        _call(_EV, "ev = 0.7ev"),
    ),
    Entry(
        "E403",
        "an empty range",
        "A range runs from its low end to a higher end. A temperature lies above 0 K.",
        _stage("slider amount in 1..0 = 0"),
        _stage("slider amount in 0..1 = 0"),
    ),
    Entry(
        "E404",
        "the soft range leaves the hard range",
        "The hard range is what is legal; the soft range is what a search may try, and lies within it.",
        _stage("slider ev in -4ev..4ev soft -8ev..8ev = 0ev"),
        _stage("slider ev in -8ev..8ev soft -4ev..4ev = 0ev"),
    ),
    Entry(
        "E405",
        "the default is outside the range",
        "A default is legal itself, in every element of a table too.",
        _stage("slider amount in 1%..100% = 0%"),
        _stage("slider amount in 0%..100% = 0%"),
    ),
    Entry(
        "E406",
        "a value is outside the range",
        "A call gives a parameter a value that its stage does not allow.",
        _call(_EV, "ev = 5ev"),
        _call(_EV, "ev = 4ev"),
    ),
    Entry(
        "E407",
        "the wrong kind of value",
        "A slider takes a number, a choice one of its options, a toggle on or off, a table a number, a list, "
        "identity or a "
        "file in quotes; images are names.",
        _call(_EV, 'ev = "bright"'),
        _call(_EV, "ev = 1ev"),
    ),
    Entry(
        "E408",
        "not an option",
        "A choice takes one of the names in its braces.",
        _call(_METHOD, "method = best"),
        _call(_METHOD, "method = fast"),
    ),
    Entry(
        "E409",
        "an option stands twice",
        "The options of a choice are different names.",
        _stage("choice method in {fast, good, fast} = good"),
        _stage(_METHOD),
    ),
    Entry(
        "E410",
        "unknown number format",
        "A register holds u8 (whole numbers), u4.8 (4 integer and 8 fraction bits) or s4.8 (a sign bit besides, two's "
        "complement), 32 bits at most.",
        _stage("register gain @ 0x100[11:0] : q4.8 = 1"),
        _stage("register gain @ 0x100[11:0] : u4.8 = 1"),
    ),
    Entry(
        "E411",
        "the bit field does not fit",
        "A field lies in a 32-bit word, is written high bit first, and has as many bits as its format.",
        _stage("register gain @ 0x100[7:0] : u4.8 = 1"),
        _stage("register gain @ 0x100[11:0] : u4.8 = 1"),
    ),
    Entry(
        "E412",
        "registers overlap",
        "Two registers share bits, so that writing one would change the other. Addresses count bytes.",
        _stage("register gain @ 0x100[11:0] : u4.8 = 1\n  register slope @ 0x100[15:8] : u8 = 1"),
        _stage("register gain @ 0x100[11:0] : u4.8 = 1\n  register slope @ 0x100[23:16] : u8 = 1"),
    ),
    Entry(
        "E413",
        "the format cannot hold the range",
        "Every value of a register's range has a code; u4.8 ends at 15.996.",
        _stage("register gain @ 0x100[11:0] : u4.8 in 0..16 = 1"),
        _stage("register gain @ 0x100[11:0] : u4.8 in 0..15 = 1"),
    ),
    Entry(
        "E415",
        "an impossible shape",
        "A curve has one size, a matrix two, a lut any number; sizes are whole numbers from 1 on.",
        _stage("curve points[16, 3] = identity"),
        _stage("curve points[16] = identity"),
    ),
    Entry(
        "E416",
        "a list does not fit",
        "A list is rectangular. In a curve or a lut it broadcasts to the shape of the table, as numpy's arrays do; a "
        "matrix is all its numbers, identity or 0.",
        _stage("matrix m[3, 3] = [[1, 0], [0, 1]]"),
        _stage("matrix m[3, 3] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]"),
    ),
    Entry(
        "E417",
        "a table's file cannot be used",
        "A .cube file stands for a lut of shape [n, n, n, 3]. It is named relative to the .isp file or to the standard "
        "library, and lies inside. It holds LUT_3D_SIZE n, n from 2 to 129, and n^3 rows of three numbers, for inputs "
        "from 0 to 1.",
        _stage('lut look[17, 17, 17, 3] = "looks/no_such_look.cube"'),
        _stage('lut look[17, 17, 17, 3] = "looks/neutral.cube"'),
    ),
    Entry(
        "E418",
        "a size that is not known",
        "A size in a type is a number, or a slider of the stage with whole numbers from 1 on, whose value is "
        "written out "
        "where the stage is called.",
        "stage meter(image: rgb<S, f32>) -> vector<bins> {\n  slider bins in 0.5..256 = 16\n"
        '  program "my_isp.programs:meter"\n}\n',
        "stage meter(image: rgb<S, f32>) -> vector<bins> {\n  slider bins in 2..256 = 16\n"
        '  program "my_isp.programs:meter"\n}\n',
    ),
    Entry(
        "E419",
        "metadata is missing",
        "A stage's metadata without a default must be bound where the stage is called, to a constant or to the "
        "pipeline's own metadata, which comes from the file.",
        _call("meta black: real", ""),
        _call("meta black: real", "black = black_level", "  meta black_level: real\n"),
    ),
    Entry(
        "E420",
        "a statistic is missing",
        "A stage that needs a statistic must be given one where it is called.",
        _call("needs level: real", ""),
        _call("needs level: real", "level = seen", "  needs seen: real\n"),
    ),
    Entry(
        "E422",
        "a driving parameter reaches too far",
        "A pipeline's parameter that drives a stage's has a range inside that one's, so that every legal "
        "setting of the "
        "pipeline is legal for the stage.",
        _call(_EV, "ev = brightness", "  slider brightness in -8ev..8ev = 0ev\n"),
        _call(_EV, "ev = brightness", "  slider brightness in -2ev..2ev = 0ev\n"),
    ),
    Entry(
        "E423",
        "a parameter bound to another kind",
        "A number drives a number, a choice a choice with all its options, a table one of the same shape. "
        "Metadata of the "
        "same unit or shape may start a parameter.",
        _call(_EV, "ev = quality", "  choice quality in {fast, good} = good\n"),
        _call(_EV, "ev = brightness", "  slider brightness in -2ev..2ev = 0ev\n"),
    ),
    Entry(
        "E425",
        "`fixed` where nothing is free",
        "`fixed` freezes a parameter at the value written. Metadata and statistics are never free, and what another "
        "parameter drives is frozen there.",
        _call("meta black: real", "black = fixed 64"),
        _call("meta black: real", "black = 64"),
    ),
)
