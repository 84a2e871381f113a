"""One dark photograph in all ways to set the pipeline, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reproduce.tasks import raws
from benchmarks.reproduce.tasks.page import medians
from benchmarks.reproduce.tasks.play import WAYS, pipeline
from ispdsl.runtime.pictures import write_picture
from ispdsl.synthetic import sample_photo

PHOTO = "cat"
SIDE = 240


def strip(path: Path, result: Mapping[str, Any]) -> None:
    """A row for each case: the photograph, then the dark raw of it at the median settings of each way."""
    photo = sample_photo(PHOTO, SIDE)
    photo = photo[:, : photo.shape[1] // 2 * 2, : photo.shape[2] // 2 * 2]
    mosaics = raws.mosaics([photo], 0)
    dark = pipeline()
    rows: list[raws.Photo] = []
    for found in result["cases"].values():
        settings = [dark.settings.update(medians(found["answers"], way)) for way in WAYS]
        pictures = [photo, *(dark.pictures(each, mosaics)[0].numpy() for each in settings)]
        rows.append(np.concatenate(pictures, axis=2))
    write_picture(path, np.concatenate(rows, axis=1), quality=80)
