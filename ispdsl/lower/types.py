"""Types: from the tree, and matched against each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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
from ispdsl.lower.quantity import unit_hint
from ispdsl.lower.scope import Hint, Sink, counted, meant
from ispdsl.syntax.tree import Name, Number, Slider, TypeExpression

NUMBERS = frozenset(("float", "int", "double", "number", "scalar"))
"""What people call a `real`."""


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
            hint="a number is real, in a unit real<ev>"
            if tree.name.text in NUMBERS
            else meant(tree.name.text, LAYOUTS, f"types: {known}"),
        )
        return None
    if len(tree.args) != len(roles) and not (roles == ("unit",) and not tree.args):
        wanted = f"{tree.name.text}<{', '.join(roles)}>" if roles else tree.name.text
        sink.add(
            "E302",
            f"{tree.name.text} takes {counted(len(roles), 'argument')}, not {len(tree.args)}",
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
    known: Collection[str]
    match role:
        case "cfa":
            code, known = "E304", CFAS
        case "space":
            code, known = "E303", SPACES
        case "unit":
            code, known = "E401", UNITS
        case _:
            code, known = "E305", ("unit", *FLOATS)
    if text in known or (role == "storage" and INTEGER_STORAGE.fullmatch(text)):
        return True
    what = {"cfa": "CFA", "space": "colour space", "storage": "storage", "unit": "unit"}[role]
    hints = {"unit": unit_hint, "storage": _storage_meant, "cfa": _cfa_meant}
    hint = hints[role](text) if role in hints else meant(text, known, f"{what}s: {', '.join(known)}")
    sink.add(code, f"unknown {what} {text}", argument.span, hint=hint)
    return False


def _cfa_meant(text: str) -> Hint:
    """What a mosaic that is no 2x2 Bayer pattern can be done with."""
    if re.search("trans|quad|tetra|nona|w|ir|cmy|foveon|x3|mono|none", text.lower()):
        known = ", ".join(CFAS)
        return f"only 2x2 Bayer patterns are handled (and linear, three samples at every site): {known}"
    return meant(text, CFAS, f"CFAs: {', '.join(CFAS)}")


def _storage_meant(text: str) -> Hint:
    """The storage that a programmer's name for a type means."""
    bits = re.fullmatch(r"(?:uint|int|u|i)(\d+)(?:_t)?", text)
    if bits:
        width = int(bits[1])
        return f"write u{width}" if 1 <= width <= 24 else "integer codes have 1 to 24 bits: u8, u10, u12, u14, u16"
    floats = {"float": "f32", "float16": "f16", "float32": "f32", "float64": "f64", "half": "f16", "double": "f64"}
    if text in floats:
        return f"write {floats[text]}"
    known = ("unit", *FLOATS)
    return meant(text, known, f"storage: {', '.join(known)}, or codes of 1 to 24 bits such as u8, u12, u16")


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


def is_closed(type_: Type, parameters: Collection[str]) -> bool:
    """Whether a type of a signature is the same in every call: it names no type variable and none of `parameters`."""
    return not any(is_variable(argument) or argument in parameters for argument in type_.args)


def _layout_hint(wanted: Type, given: Type) -> str | None:
    if (wanted.name, given.name) == ("rgb", "raw"):
        return "a mosaic becomes rgb by a demosaic stage, for example -> demosaic"
    if (wanted.name, given.name) in (("luma", "rgb"), ("chroma", "rgb")):
        return "rgb is taken apart by luma, chroma = to_ycc(image)"
    if (wanted.name, given.name) == ("raw", "rgb"):
        return "this stage works on the mosaic: put it before the demosaic"
    return None


def _argument_mismatch(role: str, want: str | int, have: str | int, wanted: Type, given: Type) -> Mismatch:
    reason = f"{wanted} is asked for, this is {given}"
    if role == "cfa":
        hint = _variable_hint(want, have) or "a stage for any CFA has a type variable: raw<C, f32>"
        return Mismatch("E308", f"the CFA must be {want}, this mosaic is {_unknown(have)}", hint)
    if role == "space":
        return Mismatch(
            "E307", f"the colour space must be {want}, this image is in {_unknown(have)}", _space_hint(want, have)
        )
    if role == "storage":
        return Mismatch("E309", reason, _storage_hint(want, have))
    return Mismatch("E306", reason)


def _unknown(argument: str | int) -> str:
    return f"{argument} (which may be any)" if is_variable(argument) else str(argument)


def _variable_hint(want: str | int, have: str | int) -> str | None:
    return f"write {want} for {have} in the pipeline's signature" if is_variable(have) else None


def _space_hint(want: str | int, have: str | int) -> str | None:
    if is_variable(have):
        return _variable_hint(want, have)
    if want == "linear_srgb" and have == "camera":
        return "camera colours become linear_srgb by -> colour_balance or -> camera_matrix"
    if want == "linear_srgb" and have == "srgb":
        return "it has its transfer curve already: put this stage before -> srgb, and encode once"
    if want == "srgb" and have == "linear_srgb":
        return "linear light is encoded for a display by -> srgb"
    return None


def _storage_hint(want: str | int, have: str | int) -> str | None:
    if want == "unit":
        return "values may leave 0..1 here: -> clip limits them"
    if want in FLOATS and INTEGER_STORAGE.fullmatch(str(have)):
        return "integer codes become light by -> black_white"
    if INTEGER_STORAGE.fullmatch(str(want)) and INTEGER_STORAGE.fullmatch(str(have)):
        return f"{str(have)[1:]}-bit codes do not fit into {str(want)[1:]} bits"
    return None
