"""E1xx: texts that are not of the language."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry


def _stage(body: str, program: str = '  program "my_isp.programs:gain"\n') -> str:
    return f"stage gain(image: rgb<S, f32>) -> rgb<S, f32> {{\n{body}{program}}}\n"


_AMOUNT = "  slider amount in 0..4 = 1\n"
_GAIN = _stage(_AMOUNT)


def _pipeline(body: str) -> str:
    return f"{_GAIN}\npipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{\n{body}}}\n"


_PIPELINE = _pipeline("  out = image -> gain(amount = 2)\n")

_LIMITS: tuple[Entry, ...] = (
    Entry(
        "E101",
        "not UTF-8",
        "Files are UTF-8, with or without a byte order mark. The message gives the first byte that is not, and its "
        "offset. The example shows a file saved as Latin-1: its o with two dots is the single byte F6.",
        "# gr\udcf6\udcdfer\n" + _GAIN,
        "# gr\u00f6\u00dfer\n" + _GAIN,
    ),
    Entry(
        "E102",
        "file too large",
        "A file has at most 1 MiB. Big tables belong in files of their own (.cube, .csv), and stages that many "
        "pipelines share in a file that these import. The example only hints at such a file: checked as it stands, it "
        "is told of E416.",
        _stage("  curve points[40000] = [0, 0.00002, 0.00005, 0.00007]\n"),
        _stage("  curve points[4] = [0, 0.3, 0.6, 1]\n"),
    ),
    Entry(
        "E103",
        "nested too deep",
        "Brackets are nested at most 64 deep. No file needs so many: most often a closing bracket is missing.",
        _stage("  curve points[2] = " + "[" * 65 + "0" + "]" * 65 + "\n"),
        _stage("  curve points[2] = [0, 1]\n"),
    ),
    Entry(
        "E104",
        "too many nodes",
        "A file holds at most 10,000 nodes: names, numbers, statements and the like. Big tables belong in files of "
        "their own. The example only hints at such a file: checked as it stands, it is told of E416.",
        _stage("  curve points[20000] = [0, 0.00005, 0.0001, 0.00015]\n"),
        _stage("  curve points[4] = [0, 0.3, 0.6, 1]\n"),
    ),
    Entry(
        "E105",
        "word too long",
        "A name or a number has at most 256 characters, a string 4096.",
        _stage(f"  slider {'a' * 257} in 0..4 = 1\n"),
        _stage("  slider a in 0..4 = 1\n"),
    ),
)

_WORDS: tuple[Entry, ...] = (
    Entry(
        "E106",
        "character not of the language",
        "Names are made of a-z, A-Z, 0-9 and _, and statements need no end mark. Any character may stand in comments "
        "and strings.",
        _stage("  slider amount in 0..4 = 1;\n"),
        _GAIN,
    ),
    Entry(
        "E107",
        "invisible character",
        "Control characters, and characters that turn the direction of writing, make a text mean something else than "
        "it shows. They are refused everywhere, comments and strings included.",
        _stage("  slider amount in 0..4 = 1  # the \u202elargest\n"),
        _stage("  slider amount in 0..4 = 1  # the largest\n"),
    ),
    Entry(
        "E108",
        "string not closed",
        'A string begins and ends with " on one line. There are no escapes.',
        _stage(_AMOUNT, '  program "my_isp.programs:gain\n'),
        _GAIN,
    ),
    Entry(
        "E109",
        "not a number",
        "A number is digits, perhaps a point and more digits, perhaps an exponent, and its unit glued on: 0.5ev, "
        "1e-3, 50%. A hexadecimal number is 0x and digits. There is no plus sign, and a point stands between digits.",
        _stage("  slider amount in 0..4 = .5\n"),
        _stage("  slider amount in 0..4 = 0.5\n"),
    ),
    Entry(
        "E110",
        "number out of range",
        "Numbers are double precision. One that is larger would be infinite, one that is smaller would be zero.",
        _stage("  slider amount in 0..1e999 = 1\n"),
        _stage("  slider amount in 0..1e9 = 1\n"),
    ),
    Entry(
        "E111",
        "expression",
        "The language has no expressions, loops or conditions. Write the value, compute in a stage, or generate the "
        "text from Python.",
        _pipeline("  out = image -> gain(amount = 1 + 1)\n"),
        _PIPELINE,
    ),
)

_STRUCTURE: tuple[Entry, ...] = (
    Entry(
        "E120",
        "bracket never closed",
        "A bracket or brace was opened and the statement, or the file, ended before it was closed.",
        _pipeline("  out = image -> gain(amount = 2\n"),
        _PIPELINE,
    ),
    Entry(
        "E121",
        "bracket closes nothing",
        "A closing bracket or brace has no opening one.",
        _pipeline("  out = image -> gain(amount = 2))\n"),
        _PIPELINE,
    ),
    Entry(
        "E122",
        "unknown keyword",
        "A statement begins with a keyword or with 'name ='. Keywords of parameters are slider, register, choice, "
        "toggle, curve, lut and matrix; the others are meta, needs, stat, program, proxy, executor, predictor and "
        "property.",
        _stage("  slidr amount in 0..4 = 1\n"),
        _GAIN,
    ),
    Entry(
        "E123",
        "keyword as a name",
        "The words of the language name no stage, image, value, node or tap. Those that begin a statement may name a "
        "parameter, as in choice curve; in, soft, as, of, previous, when, and, within, fixed, tap, from, import, stage "
        "and pipeline name options only.",
        _pipeline("  curve = image -> gain(amount = 2)\n  out = curve -> gain as again\n"),
        _pipeline("  curved = image -> gain(amount = 2)\n  out = curved -> gain as again\n"),
    ),
    Entry(
        "E124",
        "statement in the wrong place",
        "Imports come first in a file. Parameters, contracts and implementations stand between the braces of a stage "
        "or a pipeline; dataflow and statistics stand in a pipeline only.",
        _stage("  brighter = image -> other\n" + _AMOUNT),
        _GAIN,
    ),
    Entry(
        "E130",
        "name missing",
        "Something needs a name here: a declaration, a parameter, a chain, or what follows 'tap', 'as' or a comma.",
        _pipeline("  image -> gain(amount = 2)\n  out = image\n"),
        _pipeline("  bright = image -> gain(amount = 2)\n  out = bright\n"),
    ),
    Entry(
        "E131",
        "value missing",
        "A value was expected: a number, a name, a string in quotes or a list in brackets.",
        _stage("  slider amount in 0..4 =\n"),
        _GAIN,
    ),
    Entry(
        "E145",
        "comma missing",
        "Items of a list, arguments, ports and names are separated by commas.",
        _pipeline("  out = image -> gain(amount = 2 more = 3)\n"),
        _PIPELINE,
    ),
    Entry(
        "E149",
        "more than the statement",
        "The statement was complete, and what follows begins no other one.",
        _stage("  slider amount in 0..4 = 1 2\n"),
        _GAIN,
    ),
    Entry(
        "E150",
        "something else expected",
        "The grammar asks for something else here; the message lists what.",
        "hello\n" + _GAIN,
        _GAIN,
    ),
    Entry(
        "E151",
        "too many errors",
        "Only the first 50 errors of a file are told. Many of the others may go away with them. The example has 51 "
        "times E131; the last of them is not told.",
        _stage("  slider amount in 0..4 =\n" * 51),
        _GAIN,
    ),
)

_STATEMENTS: tuple[Entry, ...] = (
    Entry(
        "E132",
        "default missing",
        "Each parameter ends with '=' and a default: where a search starts, and what runs if nobody says otherwise.",
        _stage("  slider amount in 0..4\n"),
        _GAIN,
    ),
    Entry(
        "E133",
        "range expected",
        "A slider has a hard range, 'in low..high', and perhaps a 'soft' one. Other parameters may have a hard range. "
        "A range has two ends and two dots between them.",
        _stage("  slider amount in 4 = 1\n"),
        _GAIN,
    ),
    Entry(
        "E134",
        "type expected",
        "Images, metadata and statistics have a type: a name, perhaps with arguments, such as rgb<linear_srgb, f32>.",
        "stage gain(image) -> rgb<S, f32> {\n}\n",
        _GAIN,
    ),
    Entry(
        "E135",
        "signature broken",
        "A stage or pipeline begins like this: stage name(image: type) -> type { ... }. Several results are named and "
        "stand in parentheses.",
        _GAIN.replace(" -> rgb<S, f32>", ""),
        _GAIN,
    ),
    Entry(
        "E136",
        "step missing",
        "After '->' comes a stage, with or without arguments, or 'tap' and a name; after 'name =' comes a value or a "
        "stage.",
        _pipeline("  out = image ->\n"),
        _PIPELINE,
    ),
    Entry(
        "E137",
        "call without parentheses",
        "Proxies, executors and statistics are called, if only with empty parentheses.",
        _stage(_AMOUNT + "  proxy pointwise\n"),
        _stage(_AMOUNT + "  proxy pointwise()\n"),
    ),
    Entry(
        "E138",
        "register without place or format",
        "A register has an address, the bits that it fills, and a fixed-point format.",
        _stage("  register amount @ 0x100 : u8 = 1\n"),
        _stage("  register amount @ 0x100[7:0] : u8 = 1\n"),
    ),
    Entry(
        "E139",
        "table without shape",
        "A curve, a lut or a matrix gives its shape in brackets after its name.",
        _stage("  curve points = [0, 1]\n"),
        _stage("  curve points[2] = [0, 1]\n"),
    ),
    Entry(
        "E140",
        "choice without options",
        "A choice lists its options in braces and ends with one of them.",
        _stage("  choice mode in soft, hard = soft\n"),
        _stage("  choice mode in {soft, hard} = soft\n"),
    ),
    Entry(
        "E141",
        "program not in quotes",
        'A program names a Python function in quotes: "package.module:function".',
        _stage(_AMOUNT, "  program my_isp.programs\n"),
        _GAIN,
    ),
    Entry(
        "E142",
        "statistic incomplete",
        "A statistic is computed of a value of this frame, or of the previous frame: stat name = mean() of value.",
        _pipeline("  stat level = mean()\n  out = image\n"),
        _pipeline("  out = image -> gain(amount = 2)\n"),
    ),
    Entry(
        "E143",
        "import broken",
        "An import names a module, or a file in quotes, and what it takes from there.",
        "from tone exposure\n" + _GAIN,
        _GAIN,
    ),
    Entry(
        "E144",
        "condition expected",
        "After 'when' come comparisons of parameters with values, joined by 'and'.",
        _stage(_AMOUNT + "  property identity when amount\n"),
        _stage(_AMOUNT + "  property identity when amount == 1\n"),
    ),
    Entry(
        "E146",
        "unit apart from its number",
        "A unit is glued to its number: 5500K, 0.3ev, 50%.",
        _stage("  slider amount in 0ev..4 ev = 1ev\n"),
        _stage("  slider amount in 0ev..4ev = 1ev\n"),
    ),
    Entry(
        "E147",
        "clauses in the wrong order",
        "The parts of a statement have one order: 'in' before 'soft' before '='; of a property 'in', 'when', 'within'.",
        _stage("  slider amount = 1 in 0..4\n"),
        _GAIN,
    ),
    Entry(
        "E148",
        "'=', '==' and ':' confused",
        "'=' gives a value, '==' compares. In a call, too, a value is given with '=': gain(amount = 2).",
        _stage(_AMOUNT + "  property identity when amount = 1\n"),
        _stage(_AMOUNT + "  property identity when amount == 1\n"),
    ),
    Entry(
        "W101",
        "doc that documents nothing",
        "Lines that begin with ## document the declaration or parameter that follows them. Anywhere else they are "
        "read as comments, most often because a comment at the end of a line was meant.",
        _stage("  slider amount in 0..4 = 1  ## the gain\n"),
        _stage("  ## The gain.\n  slider amount in 0..4 = 1\n"),
    ),
)

SYNTAX: tuple[Entry, ...] = tuple(sorted((*_LIMITS, *_WORDS, *_STRUCTURE, *_STATEMENTS), key=lambda entry: entry.code))
