"""Quantities of an image that a stage keeps."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.checks.geometry import mosaic
from ispdsl.contracts.strategies import substitute
from ispdsl.contracts.trial import Trial
from ispdsl.programs.cfa import COLOURS
from ispdsl.programs.ops import luma

COLOURED = 1e-3
"""Chroma below which a pixel has no hue to speak of."""


def preserves(trial: Trial) -> None:
    """The quantity named is the same before and after."""
    name = trial.draw(st.sampled_from(trial.line.stated.names))
    case = trial.call()
    KEPT[name](trial, case)


def _mean(trial: Trial, case: Case) -> None:
    for found, image in zip(trial.run(case), case.images.values(), strict=False):
        trial.same(found.mean((-2, -1)), image.mean((-2, -1)), "the mean of a plane changes", case, found, image)


def _energy(trial: Trial, case: Case) -> None:
    for found, image in zip(trial.run(case), case.images.values(), strict=False):
        trial.same((found**2).sum(), (image**2).sum(), "the energy changes", case, found**2, image**2)


def _luma(trial: Trial, case: Case) -> None:
    for found, image, before in zip(trial.run(case), case.images.values(), _spaces(trial, case), strict=False):
        trial.same(_brightness(found, before), _brightness(image, before), "luma changes", case, found, image)


def _spaces(trial: Trial, case: Case) -> list[str]:
    return [str(substitute(port.type, case.types).args[0]) for port in trial.subject.inputs]


def _brightness(image: Tensor, space: str) -> Tensor:
    return image if image.shape[-3] == 1 else luma(image, space)


def _grey(trial: Trial, case: Case) -> None:
    """Pixels of equal planes stay so; on chroma, zero stays zero."""
    grey = trial.derived(case.showing({name: _without_colour(image) for name, image in case.images.items()}))
    for found in trial.run(grey):
        plain = torch.zeros_like(found) if found.shape[-3] == 2 else found[..., :1, :, :].expand_as(found)
        trial.same(found, plain, "grey takes on a colour", grey)


def _without_colour(image: Tensor) -> Tensor:
    if image.shape[-3] == 2:
        return torch.zeros_like(image)
    return image[..., :1, :, :].expand_as(image).contiguous()


def _white(trial: Trial, case: Case) -> None:
    """All ones give all ones."""
    white = trial.derived(case.showing({name: torch.ones_like(image) for name, image in case.images.items()}))
    for found in trial.run(white):
        trial.same(found, torch.ones_like(found), "white changes", white)


def _hue(trial: Trial, case: Case) -> None:
    """The angle in the plane across the grey axis, wherever there is any colour."""
    if trial.subject.outputs[0].type.name == "vector":
        _hue_of_light(trial, case)
        return
    for found, image in zip(trial.run(case), case.images.values(), strict=False):
        before, after = _opponent(image), _opponent(found)
        seen = (before.norm(dim=-3) > COLOURED) & (after.norm(dim=-3) > COLOURED)
        a, b = before / before.norm(dim=-3, keepdim=True), after / after.norm(dim=-3, keepdim=True)
        zero = torch.zeros((), dtype=a.dtype)
        trial.same(torch.where(seen, b, zero), torch.where(seen, a, zero), "hue changes", case, found, image)


def _hue_of_light(trial: Trial, case: Case) -> None:
    """A statistic of three planes has the hue of a grey scene's light; of a mosaic, of one that is lit evenly."""
    light = torch.tensor([trial.draw(st.integers(1, 32)) / 32 for _ in range(3)], dtype=torch.float64)
    image, bayer = case.first, mosaic(trial, case)
    if bayer is not None:
        lit = torch.empty_like(image)
        for site, plane in enumerate(COLOURS[bayer[1]]):
            lit[..., site // 2 :: 2, site % 2 :: 2] = light[plane]
    else:
        lit = image[:1].abs() * light[:, None, None]
    scene = trial.derived(case.showing({next(iter(case.images)): lit}))
    found = _opponent(trial.run(scene)[0][:, None, None]).flatten()
    wanted = _opponent(light[:, None, None]).flatten()
    if min(float(found.norm()), float(wanted.norm())) > COLOURED:
        what = f"the light is {light.tolist()}, the hue of the result another"
        trial.same(found / found.norm(), wanted / wanted.norm(), what, scene)


def _opponent(image: Tensor) -> Tensor:
    """Both axes across grey: red against the rest, green against blue; chroma is in it already."""
    if image.shape[-3] == 2:
        return image
    red, green, blue = image.unbind(-3)
    return torch.stack([2 * red - green - blue, math.sqrt(3) * (green - blue)], -3)


def _flat(trial: Trial, case: Case) -> None:
    """An image that is the same everywhere gives a result that is; a mosaic of one colour gives that colour."""
    cfa = mosaic(trial, case)
    colour = torch.tensor([trial.draw(st.integers(1, 32)) / 32 for _ in range(3)], dtype=torch.float64)
    flat = {name: image[..., :1, :1].expand_as(image).contiguous() for name, image in case.images.items()}
    if cfa is not None:
        name = next(port.name for port in trial.subject.inputs if port.type.name == "raw")
        flat[name] = torch.empty_like(case.images[name])
        for site, plane in enumerate(COLOURS[cfa[1]]):
            row, column = divmod(site, 2)
            flat[name][..., row::2, column::2] = colour[plane]
    even = trial.derived(case.showing(flat))
    for port, found in zip(trial.subject.outputs, trial.run(even), strict=True):
        if port.type.name == "raw" and cfa is not None:
            continue
        wanted = colour[:, None, None] if cfa is not None and found.shape[-3] == 3 else found[..., :1, :1]
        trial.same(found, wanted.expand_as(found), "a flat image is flat no more", even)


def _colour(index: int) -> Callable[[Trial, Case], None]:
    """What is sampled or held of one colour stays: a plane, or the sites of a mosaic."""
    name = ("red", "green", "blue")[index]

    def kept(trial: Trial, case: Case) -> None:
        for found, image in zip(trial.run(case), case.images.values(), strict=False):
            cfa = mosaic(trial, case)
            if cfa is None:
                trial.same(found[index], image[index], f"{name} changes", case, found, image)
                continue
            sites = [divmod(site, 2) for site, colour in enumerate(COLOURS[cfa[1]]) if colour == index]
            for row, column in sites:
                before, after = (each[0, row::2, column::2] for each in (image, found))
                trial.same(after, before, f"{name} changes", case, found, image)

    return kept


KEPT: dict[str, Callable[[Trial, Case], None]] = {
    "mean": _mean,
    "energy": _energy,
    "luma": _luma,
    "grey": _grey,
    "white": _white,
    "flat": _flat,
    "hue": _hue,
    "red": _colour(0),
    "green": _colour(1),
    "blue": _colour(2),
}
