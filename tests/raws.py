"""Which raws of the data every run of the tests develops, and which wait for the slow ones."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

REPEATED = (
    "containers/kodak_dc50_buildings.kdc",
    "containers/quicktake150_08.qtk",
    "frames/dsc1339_rose_768x512_rggb_bpctest_u16le14.raw",
    "frames/iisp_Outdoor2_2592x1536_grbg_u8.raw",
    "gopro/crops/fusion_front_GPFR7066_y600_x300.dng",
    "gopro/crops/fusion_front_GPFR7066_y900_x1900.dng",
    "gopro/crops/hero6_GOPR0024_y1700_x400.dng",
    "gopro/crops/hero6_GOPR0024_y900_x1500.dng",
)
"""Raws whose camera, kind of file and CFA another raw of the data has too. Of each such group one is developed in every
run of the tests, and so is whatever is new in the data; these wait for the slow ones."""


def one_of_each(raws: Iterable[str], later: Iterable[str] = ()) -> list[ParameterSet]:
    """The raws as parameters; those that repeat others, and those that are named as `later`, are slow."""
    slow = {*REPEATED, *later}
    return [pytest.param(raw, marks=[pytest.mark.slow] if raw in slow else []) for raw in raws]
