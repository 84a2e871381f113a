"""The vocabulary of ``property`` lines, and their lowering to the IR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ispdsl.ir import params as ir
from ispdsl.ir.model import Condition, Footprint, Meta, Need, Port
from ispdsl.ir.model import Property as IrProperty
from ispdsl.ir.params import Array
from ispdsl.ir.units import canonical
from ispdsl.lower.parameters import truth
from ispdsl.lower.quantity import array, describe, interval, number, unit_of
from ispdsl.lower.scope import Scope, Sink, listed, meant
from ispdsl.syntax.tree import Comparison, ListValue, Name, Number, Property


@dataclass(frozen=True, slots=True)
class Term:
    """What a property name means and what may follow it.

    `names`: the words that may stand behind it (``*`` for stages); `inside`: whether ``in`` may or must name parameters
    or images of the stage; `range` and `within`: whether each must be given; `degree`: whether a number may stand
    behind it. ``when`` and ``within`` may follow any.
    """

    meaning: str
    names: tuple[str, ...] = ()
    inside: Literal["no", "may", "must"] = "no"
    range: bool = False
    within: bool = False
    degree: bool = False


IMPLEMENTATIONS = ("program", "proxy", "executor")

VOCABULARY: Mapping[str, Term] = {
    "identity": Term("gives back its image, at the parameters that `when` states"),
    "pointwise": Term("an output pixel depends on the same input pixel alone"),
    "local": Term("an output pixel depends on input pixels at most `within` away", within=True),
    "global": Term("an output pixel may depend on the whole image"),
    "linear": Term("f(a x + b y) = a f(x) + b f(y), in the image or what `in` names", inside="may"),
    "affine": Term("f - f(0) is linear, in the image or what `in` names", inside="may"),
    "homogeneous": Term(
        "f(a x) = a^n f(x) for a > 0, in the image or what `in` names; the degree n is 1 or the number behind",
        inside="may",
        degree=True,
    ),
    "monotone": Term("does not fall as the image or the parameter that `in` names rises", inside="must"),
    "inverse": Term("negating the parameter that `in` names undoes the stage", inside="must"),
    "idempotent": Term("f(f(x)) = f(x)"),
    "range": Term("the output lies in the range", range=True),
    "preserves": Term(
        "keeps the quantities named",
        names=("mean", "grey", "luma", "hue", "white", "energy", "flat", "red", "green", "blue"),
    ),
    "commutes_with": Term(
        "f(g(x)) = g(f(x)) for the operation named",
        names=("hflip", "vflip", "rot90", "transpose", "exposure", "crop"),
    ),
    "equivariant": Term("a shift of the mosaic and of its CFA phase shifts the output", names=("cfa",)),
    "lossless": Term("sampled sites keep their values"),
    "deterministic": Term("the same input gives the same output, bit for bit"),
    "differentiable": Term("gradients agree with finite differences, in everything or what `in` names", inside="may"),
    "lipschitz": Term("differences grow at most by the factor `within`", within=True),
    "denoises": Term("the variance of flat noise falls, edges stay"),
    "sharpens": Term("a soft edge becomes steeper, flat areas stay flat"),
    "round_trips": Term("the stage named undoes it", names=("*",)),
    "equivalent": Term(
        "the stage named gives the same, or another implementation of this one", names=("*", *IMPLEMENTATIONS)
    ),
}
"""Every property name. A name that is not here is an error."""

FOOTPRINTS = ("pointwise", "local", "global")


@dataclass(frozen=True)
class Subject:
    """What a contract line may speak of."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[ir.Parameter, ...]
    metas: tuple[Meta, ...]
    needs: tuple[Need, ...]
    broken: frozenset[str]
    """Names whose own declaration is wrong: nothing is said about them twice."""

    @property
    def names(self) -> set[str]:
        """Everything a condition or ``in`` may name."""
        return {each.name for each in (*self.inputs, *self.parameters, *self.metas, *self.needs)}


def lower_property(tree: Property, subject: Subject, scope: Scope, sink: Sink) -> IrProperty | None:
    """One contract line; what is wrong with it is reported, and None."""
    term = VOCABULARY.get(tree.name.text)
    if term is None:
        hint = meant(tree.name.text, VOCABULARY, f"properties: {', '.join(VOCABULARY)}")
        sink.add("E210", f"unknown property {tree.name.text}", tree.name.span, hint=hint)
        return None
    good = _check_form(tree, term, sink) and _check_sense(tree, subject, sink)
    names = _names(tree, term, scope, sink)
    inside = tuple(name.text for name in tree.inside if _known(name, subject, sink))
    when = [_condition(comparison, subject, sink) for comparison in tree.when]
    bounds = interval(tree.range, unit_of(tree.range.low, sink), sink, "the range") if tree.range else None
    within_unit = unit_of(tree.within, sink)
    within = number(tree.within, within_unit, sink, "the tolerance") if tree.within else None
    if not good or names is None or len(inside) != len(tree.inside) or None in when or bool(bounds) != bool(tree.range):
        return None
    return IrProperty(
        name=tree.name.text,
        names=names,
        range=bounds,
        degree=tree.degree.value if tree.degree else None,
        inside=inside,
        when=tuple(c for c in when if c),
        within=within,
        within_unit=within_unit,
        location=sink.place(tree.span),
    )


def _check_form(tree: Property, term: Term, sink: Sink) -> bool:
    name = tree.name.text
    problems: list[tuple[str, str]] = []
    if tree.names and not term.names:
        problems.append((f"{name} takes no names", f"write property {name}"))
    if term.names and not tree.names and term.names != ("cfa",):
        wanted = "a stage" if "*" in term.names else listed(term.names)
        problems.append(
            (f"{name} must say what: {wanted}", f"write property {name} {term.names[0].replace('*', 'STAGE')}")
        )
    if tree.degree and not term.degree:
        number = tree.degree.text
        hint = f"write property {name} within {number}" if term.within else f"write property {name}"
        problems.append((f"{name} takes no number", f"write property range {number}..1" if term.range else hint))
    elif term.range != bool(tree.range):
        problems.append(
            ("range needs a range", "write property range 0..1") if term.range else (f"{name} takes no range", "")
        )
    if term.inside == "must" and not tree.inside:
        problems.append((f"{name} must say in what", f"write property {name} in image"))
    if tree.inside and term.inside == "no":
        problems.append((f"{name} takes no `in`", f"write property {name}"))
    if term.within and tree.within is None:
        problems.append((f"{name} needs a bound", f"write property {name} within {'3px' if name == 'local' else '2'}"))
    if name != "local" and isinstance(tree.within, Number) and tree.within.value < 0:
        problems.append((f"the bound of {name} is negative", f"write within {tree.within.text.lstrip('-')}"))
    if name == "local" and tree.within is not None:
        radius = tree.within
        if not (
            isinstance(radius, Number) and radius.unit == "px" and radius.is_integer and 0 <= radius.value <= 2**16
        ):
            problems.append(
                ("the radius of a neighbourhood is a whole number of pixels", "write property local within 3px")
            )
    for message, hint in problems:
        sink.add("E507", message, tree.span, hint=hint or None)
    return not problems


TOLERANCES = ("", "%", "lsb", "dB")
"""Units in which a bound may stand: of the result, hundredths of white, steps of its codes, peak signal to noise."""


def _check_sense(tree: Property, subject: Subject, sink: Sink) -> bool:
    """Whether the property can be true or false of this stage at all; what cannot is reported."""
    name, layouts = tree.name.text, {port.type.name for port in subject.inputs}
    problem: tuple[str, str] | None = None
    if name in ("lossless", "equivariant") and "raw" not in layouts:
        problem = (f"{name} is said of mosaics, and this stage takes none", "delete the line, or take raw<C, f32>")
    elif name == "lossless" and all(port.type.name != "rgb" for port in subject.outputs):
        problem = ("lossless is said of a demosaic, and this stage gives no rgb", "write property preserves ...")
    elif name == "inverse":
        numbers = {p.name for p in subject.parameters if isinstance(p, ir.Slider | ir.Register | ir.Table)}
        wrong = [each.text for each in tree.inside if each.text not in numbers | subject.broken]
        hint = f"name one of {listed(sorted(numbers))}" if numbers else "the stage has no parameter to negate"
        problem = (f"{wrong[0]} is no parameter that can be negated", hint) if wrong else None
    elif name == "monotone":
        choices = {p.name for p in subject.parameters if isinstance(p, ir.Choice)}
        wrong = [each.text for each in tree.inside if each.text in choices]
        problem = (
            (f"{wrong[0]} is a choice: its options have no order", "name a number, a toggle or an image")
            if wrong
            else None
        )
    elif name != "local" and isinstance(tree.within, Number) and tree.within.unit not in TOLERANCES:
        text = tree.within.text
        problem = (
            f"{text} is no tolerance",
            "write a plain number, %, lsb or dB: within 0.01, within 2lsb, within 40dB",
        )
    if problem is not None:
        sink.add("E507", problem[0], tree.span, hint=problem[1])
    return problem is None


def _names(tree: Property, term: Term, scope: Scope, sink: Sink) -> tuple[str, ...] | None:
    found: list[str] = []
    for name in tree.names if term.names else ():
        if name.text in term.names and not ("*" in term.names and name.text in scope.callables):
            found.append(name.text)
        elif "*" in term.names:
            other = scope.callables.get(name.text)
            if other is None:
                hint = meant(name.text, scope.callables, "declare or import it")
                sink.add("E201", f"unknown stage {name.text}", name.span, hint=hint)
                return None
            found.append(other.signature.key)
        else:
            hint = meant(name.text, term.names, f"one of {listed(term.names)}")
            sink.add("E507", f"{tree.name.text} knows no {name.text}", name.span, hint=hint)
            return None
    return tuple(found)


def _known(name: Name, subject: Subject, sink: Sink) -> bool:
    if name.text in subject.names:
        return True
    if name.text not in subject.broken:
        hint = meant(name.text, sorted(subject.names | subject.broken), f"it has {listed(sorted(subject.names))}")
        sink.add("E211", f"the stage has no image, parameter, meta or statistic {name.text}", name.span, hint=hint)
    return False


def _condition(tree: Comparison, subject: Subject, sink: Sink) -> Condition | None:
    if not _known(tree.left, subject, sink):
        return None
    right = _right_side(tree, subject, sink)
    if right is None:
        return None
    return Condition(left=tree.left.text, operator=tree.operator, right=right)


def _right_side(tree: Comparison, subject: Subject, sink: Sink) -> float | bool | str | Array | None:
    parameter = next((p for p in subject.parameters if p.name == tree.left.text), None)
    value = tree.right
    if isinstance(value, Name):
        if isinstance(parameter, ir.Choice):
            if value.text in parameter.options:
                return value.text
            hint = meant(value.text, parameter.options, f"options: {listed(parameter.options)}")
            sink.add("E408", f"{value.text} is not an option of {parameter.name}", value.span, hint=hint)
            return None
        if isinstance(parameter, ir.Toggle):
            return truth(value, sink, f"what {parameter.name} is compared with")
        if value.text == "identity" and isinstance(parameter, ir.Table):
            return "identity"
        return value.text if _known(value, subject, sink) else None
    if isinstance(value, Number) and not isinstance(parameter, ir.Choice | ir.Toggle):
        unit = _unit_of_name(tree.left.text, parameter, subject)
        found = number(value, unit, sink, f"what {tree.left.text} is compared with")
        if found is None or not _legal(found, tree, parameter, sink):
            return None
        return canonical(found, unit)
    if isinstance(value, ListValue) and _is_array(tree.left.text, parameter, subject):
        return array(value, _unit_of_name(tree.left.text, parameter, subject), sink, tree.left.text)
    if tree.left.text not in subject.broken:
        message = f"{tree.left.text} cannot be compared with {describe(value)}"
        sink.add("E506", message, value.span, hint=_comparable(tree.left.text, parameter, subject))
    return None


def _legal(found: float, tree: Comparison, parameter: ir.Parameter | None, sink: Sink) -> bool:
    """Whether a parameter can have the value that ``==`` says it has; what it cannot is reported."""
    if not isinstance(parameter, ir.Slider | ir.Register | ir.Table) or parameter.hard is None:
        return True
    if tree.operator != "==" or parameter.hard[0] <= found <= parameter.hard[1]:
        return True
    low, high = (f"{end:g}{parameter.unit}" for end in parameter.hard)
    message = f"{tree.left.text} is never {found:g}{parameter.unit}: its range is {low}..{high}"
    sink.add("E406", message, tree.right.span, hint=f"compare it with a value in {low}..{high}")
    return False


def _comparable(name: str, parameter: ir.Parameter | None, subject: Subject) -> str:
    match parameter:
        case ir.Choice():
            return f"it is one of {listed(parameter.options)}"
        case ir.Toggle():
            return "it is on or off"
        case ir.Table():
            return "compare it with identity, a number or a list"
        case None if name not in {each.name for each in (*subject.metas, *subject.needs)}:
            return "an image has no value to compare: name a parameter or metadata"
        case _:
            return f"compare it with a number, such as 0{_unit_of_name(name, parameter, subject)}"


def _is_array(name: str, parameter: ir.Parameter | None, subject: Subject) -> bool:
    given = next((each for each in (*subject.metas, *subject.needs) if each.name == name), None)
    return isinstance(parameter, ir.Table) or (given is not None and given.type.name in ("vector", "matrix", "grid"))


def _unit_of_name(name: str, parameter: ir.Parameter | None, subject: Subject) -> str:
    if isinstance(parameter, ir.Slider | ir.Register | ir.Table):
        return parameter.unit
    meta = next((m for m in subject.metas if m.name == name), None)
    return str(meta.type.args[0]) if meta and meta.type.name == "real" and meta.type.args else ""


def footprint_of(trees: tuple[Property, ...], sink: Sink) -> Footprint:
    """The footprint that the contract states; a stage that states none may look at the whole image."""
    stated = [tree for tree in trees if tree.name.text in FOOTPRINTS]
    for extra in stated[1:]:
        sink.add(
            "E505",
            f"the footprint is stated twice: {stated[0].name.text} and {extra.name.text}",
            extra.span,
            related=[sink.label(stated[0].span, "first here")],
            hint="keep one of pointwise, local and global",
        )
    if not stated:
        return Footprint(kind="global")
    first = stated[0]
    if first.name.text == "local":
        radius = int(first.within.value) if isinstance(first.within, Number) else 0
        return Footprint(kind="local", radius=radius)
    return Footprint(kind="pointwise", radius=0) if first.name.text == "pointwise" else Footprint(kind="global")
