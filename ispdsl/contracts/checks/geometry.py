"""Where results come from, and how they move with the image: footprint, symmetries, the phase of a mosaic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.strategies import Shape, legal, storage, substitute
from ispdsl.contracts.trial import Trial, ViolationError, at, unravel
from ispdsl.ir.types import BAYER
from ispdsl.programs.cfa import COLOURS

LONGEST, WIDEST = 160, 48
"""The longest image on which a footprint is tested, two rows high; the largest square one."""


def local(trial: Trial) -> None:
    """A change of one pixel of one image changes nothing farther away than the radius; the size stays."""
    radius = trial.subject.footprint.radius or 0
    long = min(radius + 4, LONGEST)
    case = trial.call(Shape(least=2, most=min(6, long) if long <= WIDEST else 2, longest=long))
    name = trial.draw(st.sampled_from(tuple(case.images)))
    image = case.images[name]
    height, width = image.shape[-2:]
    row, column = trial.draw(_place(height)), trial.draw(_place(width))
    step = trial.draw(st.sampled_from((0.25, -0.25, 0.02))) * max(1.0, float(image.abs().max()))
    type_ = next(port.type for port in trial.subject.inputs if port.name == name)
    touched = image.clone()
    touched[:, row, column] += step
    touched = legal(touched, type_)
    if torch.equal(touched, image):  # it was at that end of its range
        touched[:, row, column] -= step
    far = _far(height, width, row, column, radius)
    for before, after in zip(trial.run(case), trial.run(case.showing({name: touched})), strict=True):
        if before.shape[-2:] != image.shape[-2:]:
            raise ViolationError(f"the result is {_size(before)} pixels, the image {_size(image)}", case)
        change = torch.where(far, (before - after).abs(), torch.zeros_like(before))
        if float(change.max()) > trial.tolerance(before):
            place = unravel(int(change.argmax()), change.shape)
            message = f"a change of {name} at row {row}, column {column} reaches {at(place)}"
            raise ViolationError(f"{message}, farther than {radius} px", case, before=before, after=after)


def _place(size: int) -> st.SearchStrategy[int]:
    """A place along an axis, often at its ends: what is far from there is farthest."""
    return st.sampled_from((0, size - 1)) | st.integers(0, size - 1)


def _far(height: int, width: int, row: int, column: int, radius: int) -> Tensor:
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    return ((rows - row).abs() > radius) | ((columns - column).abs() > radius)


def _size(image: Tensor) -> str:
    return f"{image.shape[-2]} x {image.shape[-1]}"


def everywhere(trial: Trial) -> None:
    """The whole image may count: all that is left to demand is a result that is finite."""
    case = trial.call()
    for port, result in zip(trial.subject.outputs, trial.run(case), strict=True):
        if not bool(result.isfinite().all()):
            raise ViolationError(f"{port.name} holds numbers that are not finite", case, found=result)


# ---- symmetries ----------------------------------------------------------------------------------------------

MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "hflip": lambda image: image.flip(-1),
    "vflip": lambda image: image.flip(-2),
    "rot90": lambda image: torch.rot90(image, 1, (-2, -1)),
    "transpose": lambda image: image.transpose(-2, -1),
}


def commutes_with(trial: Trial) -> None:
    """f(g(x)) = g(f(x)) for each operation named; a mosaic's CFA moves with it."""
    name = trial.draw(st.sampled_from(trial.line.stated.names))
    if name == "exposure":
        _exposure(trial)
    elif name == "crop":
        _crop(trial)
    else:
        _moved(trial, name)


def _moved(trial: Trial, name: str) -> None:
    case, move = trial.call(), MOVES[name]
    cfa = mosaic(trial, case)
    turned = case.showing({port: move(image) for port, image in case.images.items()})
    turned = turned.with_arguments(_moved_maps(case, move, cfa is not None))
    if cfa is not None:
        variable, pattern = cfa
        new = moved_pattern(pattern, move, case.first)
        assume(variable is not None or new == pattern)
        turned = turned.with_types({variable: new} if variable else {}).with_arguments(_moved_sites(case, move))
    for found, plain in zip(trial.run(turned), trial.run(case), strict=True):
        trial.same(found, move(plain) if plain.dim() >= 3 else plain, f"it does not commute with {name}", case)


def mosaic(trial: Trial, case: Case) -> tuple[str | None, str] | None:
    """The type variable of the CFA, if it is one, and the CFA; None where no image is a Bayer mosaic."""
    for port in trial.subject.inputs:
        if port.type.name == "raw":
            written = str(port.type.args[0])
            pattern = str(substitute(port.type, case.types).args[0])
            if pattern in BAYER:
                return (written if written in case.types else None), pattern
    return None


def moved_pattern(pattern: str, move: Callable[[Tensor], Tensor], like: Tensor) -> str:
    """The CFA of a mosaic after it was moved."""
    height, width = like.shape[-2:]
    rows, columns = torch.arange(height) % 2, torch.arange(width) % 2
    sites = rows[:, None] * 2 + columns[None, :]
    first = move(sites)[:2, :2].flatten().tolist()
    return "".join(pattern[site] for site in first)


def _moved_sites(case: Case, move: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Metadata of the four sites of the mosaic, in the order of the moved one."""
    order = _site_order(case, move)
    return {name: case.arguments[name][order] for name in SITES if name in case.arguments}


def _site_order(case: Case, move: Callable[[Tensor], Tensor]) -> Tensor:
    """Which site of the mosaic comes first, second, third and fourth once it is moved."""
    height, width = case.first.shape[-2:]
    sites = (torch.arange(height) % 2)[:, None] * 2 + (torch.arange(width) % 2)[None, :]
    return move(sites)[:2, :2].flatten()


SITES = ("black_level",)
"""Metadata with one number for each of the four sites of a mosaic."""


def _moved_maps(case: Case, move: Callable[[Tensor], Tensor], by_site: bool) -> dict[str, Tensor]:
    """Metadata that spans the frame, moved with it; of a mosaic, planes of sites in the order of the moved one."""
    found: dict[str, Tensor] = {}
    for name in MAPS:
        value = case.arguments.get(name)
        if isinstance(value, Tensor) and value.dim() == 3:
            planes = move(value)
            found[name] = planes[_site_order(case, move)] if by_site and len(planes) == 4 else planes
    return found


MAPS = ("gain_map",)
"""Metadata of rows and columns that span the frame from edge to edge."""


def _exposure(trial: Trial) -> None:
    case = trial.call()
    factor = trial.draw(st.floats(0.25, 1 if any(storage(port.type) == "unit" for port in trial.subject.inputs) else 4))
    brighter = case.showing({name: factor * image for name, image in case.images.items()})
    for found, plain in zip(trial.run(trial.derived(brighter)), trial.run(case), strict=True):
        trial.same(found, factor * plain, f"{factor:g} times the light is not {factor:g} times the result", case, plain)


def _crop(trial: Trial) -> None:
    """The crop's result is the result's crop, but for a border as wide as the radius."""
    radius = trial.subject.footprint.radius or 0
    case = trial.call(Shape(least=min(2 * radius + 4, WIDEST), most=min(2 * radius + 6, WIDEST)))
    even = 2 if mosaic(trial, case) else 1
    top, left = (even * cut for cut in trial.draw(st.sampled_from(((0, 1), (1, 0), (1, 1)))))
    part = case.showing({name: image[:, top:, left:] for name, image in case.images.items()})
    for found, plain in zip(trial.run(part), trial.run(case), strict=True):
        inside = plain[:, top:, left:]
        _same_inside(trial, found, inside, radius, (top, left), "it does not commute with crop", case)


def _same_inside(
    trial: Trial, found: Tensor, wanted: Tensor, radius: int, cut: tuple[int, int], what: str, case: Case
) -> None:
    """Agreement away from the borders that were cut: there the mirror image differs."""
    top, left = (radius if each else 0 for each in cut)
    if found.shape != wanted.shape:
        raise ViolationError(f"{what}: the shape is {tuple(found.shape)}, not {tuple(wanted.shape)}", case)
    assume(found.shape[-2] > top and found.shape[-1] > left)
    trial.same(found[:, top:, left:], wanted[:, top:, left:], what, case)


# ---- mosaics -------------------------------------------------------------------------------------------------


def equivariant(trial: Trial) -> None:
    """A mosaic without its first row or column, its CFA named so, gives the result without it."""
    radius = trial.subject.footprint.radius or 0
    case = trial.call(Shape(least=min(radius + 3, WIDEST), most=min(radius + 6, WIDEST)))
    cfa = mosaic(trial, case)
    assume(cfa is not None)
    assert cfa is not None
    variable, pattern = cfa
    top, left = trial.draw(st.sampled_from(((0, 1), (1, 0), (1, 1))))

    def move(image: Tensor) -> Tensor:
        return image[..., top:, left:]

    new = moved_pattern(pattern, move, case.first)
    assume(variable is not None)
    shifted = case.showing({name: move(image) for name, image in case.images.items()})
    shifted = shifted.with_types({variable: new} if variable else {}).with_arguments(_moved_sites(case, move))
    for found, plain in zip(trial.run(shifted), trial.run(case), strict=True):
        what = f"shifted to {new} by {top} rows and {left} columns, the result does not shift"
        if plain.dim() < 3:
            continue
        _same_inside(trial, found, move(plain), radius, (top, left), what, case)


def lossless(trial: Trial) -> None:
    """Each sampled value of the mosaic stands in its own plane of the result."""
    case = trial.call()
    port = next(port for port in trial.subject.inputs if port.type.name == "raw")
    pattern = str(substitute(port.type, case.types).args[0])
    image, result = case.images[port.name], trial.run(case)[0]
    if pattern not in BAYER:
        trial.same(result, image, "samples of a frame with all colours change", case)
        return
    for site, colour in enumerate(COLOURS[pattern]):
        row, column = divmod(site, 2)
        name = ("red", "green", "blue")[colour]
        kept = result[colour, row::2, column::2]
        trial.same(kept, image[0, row::2, column::2], f"sampled {name} values change at site {site}", case, image)
