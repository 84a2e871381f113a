"""Types: from the tree, and matched against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ispdsl.ir.types import (
    CFAS,
    FLOATS,
    INTEGER_STORAGE,
    LAYOUTS,
    SPACES,
    Type,
    is_variable,
    storage_fits,
)
from ispdsl.ir.units import UNITS
from ispdsl.lower.scope import Sink, meant
from ispdsl.syntax.tree import Name, Number, Slider, TypeExpression


def lower_type(tree: TypeExpression, sink: Sink, sliders: Mapping[str, Slider]) -> Type | None:
    """A checked type; what is wrong with it is reported, and None.

    `sliders` are those of the declaration, which a size may name.
    """
    roles = LAYOUTS.get(tree.name.text)
    if roles is None:
        known = ", ".join(LAYOUTS)
        sink.add(
            "E301",
            f"unknown type {tree.name.text}",
            tree.name.span,
            hint=meant(tree.name.text, LAYOUTS, f"types: {known}"),
        )
        return None
    if len(tree.args) != len(roles) and not (roles == ("unit",) and not tree.args):
        wanted = f"{tree.name.text}<{', '.join(roles)}>" if roles else tree.name.text
        sink.add(
            "E302",
            f"{tree.name.text} takes {len(roles)} arguments, not {len(tree.args)}",
            tree.span,
            hint=f"write {wanted}",
        )
        return None
    good = [_check_argument(argument, role, sink, sliders) for argument, role in zip(tree.args, roles, strict=False)]
    if not all(good):
        return None
    return Type(
        name=tree.name.text,
        args=tuple(int(a.value) if isinstance(a, Number) and a.is_integer else a.text for a in tree.args),
    )


def _check_argument(argument: Name | Number, role: str, sink: Sink, sliders: Mapping[str, Slider]) -> bool:
    text = argument.text
    if is_variable(text):
        return True
    if role == "size":
        return _check_size(argument, sink, sliders)
    known: tuple[str, ...]
    match role:
        case "cfa":
            code, known = "E304", CFAS
        case "space":
            code, known = "E303", SPACES
        case "unit":
            code, known = "E401", tuple(symbol for symbol in UNITS if symbol)
        case _:
            code, known = "E305", ("unit", *FLOATS, "u8", "u10", "u12", "u14", "u16")
    if text in known or (role == "storage" and INTEGER_STORAGE.fullmatch(text)):
        return True
    what = {"cfa": "CFA", "space": "colour space", "storage": "storage", "unit": "unit"}[role]
    sink.add(code, f"unknown {what} {text}", argument.span, hint=meant(text, known, f"{what}: {', '.join(known)}"))
    return False


def _check_size(argument: Name | Number, sink: Sink, sliders: Mapping[str, Slider]) -> bool:
    if isinstance(argument, Number):
        if argument.is_integer and 1 <= argument.value <= 2**24:
            return True
        sink.add("E302", f"a size is a whole number from 1 to {2**24}, not {argument.text}", argument.span)
        return False
    slider = sliders.get(argument.text)
    if slider is None:
        hint = meant(argument.text, sliders, "write a number, or a slider of this stage that holds a whole number")
        sink.add(
            "E418", f"{argument.text} is not a slider of this stage, so it cannot be a size", argument.span, hint=hint
        )
        return False
    whole = [n for n in (slider.hard.low, slider.hard.high, slider.default) if isinstance(n, Number)]
    if not all(n.is_integer and not n.unit and n.value >= 1 for n in whole):
        sink.add(
            "E418",
            f"{argument.text} decides a size, so its range and default must be whole numbers from 1 on",
            argument.span,
            related=[sink.label(slider.span, "declared here")],
        )
        return False
    return True


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a value does not fit: the code of the diagnostic, and the reason in words."""

    code: str
    reason: str
    hint: str | None = None


def match(wanted: Type, given: Type, bound: dict[str, str | int]) -> Mismatch | None:
    """Fit a value of type `given` to a port of type `wanted`, binding the callee's type variables in `bound`.

    `given` is the caller's: a capital letter in it stands for something unknown, and equals only itself.
    """
    if wanted.name != given.name:
        return Mismatch("E306", f"{wanted} is asked for, this is {given}", _layout_hint(wanted, given))
    for role, want, have in zip(LAYOUTS[wanted.name], wanted.args, given.args, strict=False):
        if is_variable(want):
            known = bound.get(str(want))
            if known is None or (role == "storage" and storage_fits(known, have)):
                bound[str(want)] = have
                continue
            if role == "storage" and storage_fits(have, known):
                continue
            want = known
        if want == have or (role == "storage" and storage_fits(have, want)):
            continue
        return _argument_mismatch(role, want, have, wanted, given)
    return None


def substitute(type_: Type, bound: Mapping[str, str | int]) -> Type:
    """`type_` with its variables and structural names replaced by what they stand for."""
    return Type(name=type_.name, args=tuple(bound.get(str(a), a) if isinstance(a, str) else a for a in type_.args))


def _layout_hint(wanted: Type, given: Type) -> str | None:
    if (wanted.name, given.name) == ("rgb", "raw"):
        return "a mosaic becomes rgb by a demosaic stage, for example -> demosaic"
    if (wanted.name, given.name) == ("raw", "rgb"):
        return "this stage works on the mosaic: put it before the demosaic"
    return None


def _argument_mismatch(role: str, want: str | int, have: str | int, wanted: Type, given: Type) -> Mismatch:
    reason = f"{wanted} is asked for, this is {given}"
    if role == "cfa":
        return Mismatch("E308", f"the CFA must be {want}, this mosaic is {_unknown(have)}")
    if role == "space":
        return Mismatch(
            "E307", f"the colour space must be {want}, this image is in {_unknown(have)}", _space_hint(want, have)
        )
    if role == "storage":
        return Mismatch("E309", reason, _storage_hint(want, have))
    return Mismatch("E306", reason)


def _unknown(argument: str | int) -> str:
    return f"{argument} (which may be any)" if is_variable(argument) else str(argument)


def _space_hint(want: str | int, have: str | int) -> str | None:
    if want == "linear_srgb" and have == "camera":
        return "camera colours become linear_srgb by -> colour_balance or -> camera_matrix"
    if want == "linear_srgb" and have == "srgb":
        return "the image has its transfer curve already: apply this stage before -> srgb"
    return None


def _storage_hint(want: str | int, have: str | int) -> str | None:
    if want == "unit":
        return "values may leave 0..1 here: -> clip limits them"
    if want in FLOATS and INTEGER_STORAGE.fullmatch(str(have)):
        return "integer codes become light by -> black_white"
    return None
