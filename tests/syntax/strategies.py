"""Random trees, random spellings of files, and trees without their places."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.scan import scan

NOWHERE = Span(0, 0)
KEYWORDS = "slider choice curve property stage in soft fixed tap as of previous when and within from import".split()


def bare(node: Any) -> Any:
    """A tree as nested tuples without spans and comments."""
    if isinstance(node, tuple):
        return tuple(map(bare, node))
    if is_dataclass(node):
        kept = [field.name for field in fields(node) if field.name not in ("span", "comments")]
        return (type(node).__name__, *(bare(getattr(node, name)) for name in kept))
    return node


def comments_of(file: tree.File) -> list[str]:
    return [comment.text for comment in file.comments]


# ---- trees -------------------------------------------------------------------------------------------------


def name_of(*avoided: str) -> st.SearchStrategy[tree.Name]:
    """Identifiers, keywords among them but for those that the grammar reads otherwise in some place."""
    words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,11}(\.[a-z0-9]{1,3})?", fullmatch=True)
    keywords = st.sampled_from([word for word in KEYWORDS if word not in avoided])
    reserved = {*avoided, "slider", "register", "choice", "toggle", "curve", "lut", "matrix", "meta", "needs", "stat"}
    reserved |= {"program", "proxy", "executor", "predictor", "property"} if "slider" in avoided else set(avoided)
    chosen = (words | keywords).filter(lambda word: word not in (reserved if "slider" in avoided else avoided))
    return chosen.map(lambda word: tree.Name(word, NOWHERE))


names = name_of()
numbers = st.from_regex(r"-?(0x[0-9A-F]{1,4}|[0-9]{1,4}(\.[0-9]{1,3})?(e-?[0-9])?(ev|%|K|px)?)", fullmatch=True).filter(
    lambda text: "0x" in text or not text.lstrip("-").startswith("0x")
)
number = numbers.map(lambda text: tree.Number(text, NOWHERE))
string = st.text(
    st.characters(categories=["L", "N", "P", "Zs"], exclude_characters='"', codec="ascii"), max_size=30
).map(lambda text: tree.String(text, NOWHERE))
leaves = number | string | name_of("fixed", "in", "soft", "when", "and", "within")
value = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=9).map(lambda v: tree.ListValue(tuple(v), NOWHERE)), max_leaves=12
)


def node(cls: Any, /, **parts: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **parts, span=st.just(NOWHERE))


def some(strategy: st.SearchStrategy[Any], least: int = 0, most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


doc = st.none() | node(
    tree.Doc, lines=some(st.from_regex(r"([a-z#.] ?){0,20}[a-z.]", fullmatch=True) | st.just(""), 1, 3)
)
limits = node(tree.Range, low=value, high=value)
type_ = node(tree.TypeExpression, name=names, args=some(names | number, 0, 3))
port = node(tree.Port, name=names, type=type_)
argument = node(tree.Argument, name=st.none(), fixed=st.just(False), value=value) | node(
    tree.Argument, name=names, fixed=st.booleans(), value=value
)
plain = name_of("tap")
call = node(tree.Call, name=plain, arguments=some(argument), alias=st.none() | names, parentheses=st.just(True))
bare_call = node(tree.Call, name=plain, arguments=st.just(()), alias=st.none() | names, parentheses=st.just(False))
tap = node(tree.Tap, name=names)

place = node(tree.Place, address=number, high=number, low=number)
slider = node(tree.Slider, name=names, hard=limits, soft=st.none() | limits, default=value, doc=doc)
field = {"name": names, "place": place, "format": names, "default": value, "doc": doc}
register = node(tree.Register, hard=st.none() | limits, soft=st.none(), **field)
searched = node(tree.Register, hard=limits, soft=limits, **field)
choice = node(tree.Choice, name=names, options=some(names, 1), default=names, doc=doc)
toggle = node(tree.Toggle, name=names, default=value, doc=doc)
table = node(
    tree.Table,
    kind=st.sampled_from(["curve", "lut", "matrix"]),
    name=names,
    shape=some(number, 1, 3),
    hard=st.none() | limits,
    default=value,
    doc=doc,
)
meta = node(tree.Meta, name=names, type=type_, default=st.none() | value, doc=doc)
needs = node(tree.Needs, name=names, type=type_, doc=doc)
program = node(tree.Program, target=string)
proxy = node(tree.Proxy, call=call)
executor = node(tree.Executor, call=call)
predictor = node(tree.Predictor, path=string)
comparison = node(tree.Comparison, left=names, operator=st.sampled_from("== != <= >= < >".split()), right=value)
# what begins a statement ends the line of the property before it
_subject = name_of("in", "when", "within", "with", "to", "slider", "choice", "curve", "property")


@st.composite
def properties(draw: st.DrawFn) -> tree.Property:
    subjects = draw(some(_subject, 0, 12))
    scope = draw(st.none() | limits) if not subjects else None
    if scope and isinstance(scope.low, tree.Name) and scope.low.text in ("in", "when", "within", "with", "to"):
        scope = None
    degree = draw(st.none() | number) if not subjects and not scope else None
    return draw(
        node(
            tree.Property,
            name=names,
            names=st.just(subjects),
            range=st.just(scope),
            degree=st.just(degree),
            inside=some(names),
            when=some(comparison, 0, 3),
            within=st.none() | value,
        )
    )


target = name_of("slider", "choice", "curve", "property")
targets = st.tuples(target) | st.tuples(target, names) | st.tuples(target, names, names)
flow = node(tree.Flow, targets=targets, head=names | call, steps=some(call | bare_call | tap, 0, 6))
stat = node(tree.Stat, name=names, call=call, of=name_of("previous"), previous=st.booleans(), doc=doc)

shared = (
    slider | register | searched | choice | toggle | table | meta | needs | program | proxy | executor | properties()
)
outputs = type_.map(lambda type_: (tree.Port(None, type_, NOWHERE),)) | some(port, 1, 3)
stage = node(
    tree.Declaration, kind=st.just("stage"), name=names, inputs=some(port), outputs=outputs, items=some(shared), doc=doc
)
pipeline = node(
    tree.Declaration,
    kind=st.just("pipeline"),
    name=names,
    inputs=some(port),
    outputs=outputs,
    items=some(shared | predictor | stat | flow, 0, 6),
    doc=doc,
)
imported = node(tree.Import, origin=names | string, names=some(names, 1, 12))
files = node(tree.File, imports=some(imported, 0, 3), declarations=some(stage | pipeline, 0, 3), comments=st.just(()))


# ---- spellings of a file -------------------------------------------------------------------------------------

_space = st.sampled_from([" ", "  ", "\n", "\n\n", "\n\n\n", "\t", "\r\n", "\n    "])
_comment = st.from_regex(r" ?#( [a-z\"{(=>,]{0,8})?\n", fullmatch=True)


@st.composite
def spellings(draw: st.DrawFn, text: str) -> tuple[str, int]:
    """The same words with other white space, and comments between any two of them; and how many comments there are."""
    parts: list[str] = []
    count = 0
    for token in scan(Source("", text)).tokens:
        gap = draw(_space)
        if draw(st.integers(0, 11)) == 0:
            gap = draw(_comment) + draw(st.just("") | _comment) + gap
        count += gap.count("#")
        parts.append(f"{gap}\n{token.text}\n" if token.kind == "doc" else gap + token.text)
    return "".join(parts), count
