"""Held-out exposures, finished with the demosaic and with the front end, beside what was wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ispdsl.learned.frontend import Finishing
    from ispdsl.learned.short_and_long import Scene

SHOWN = 2
"""Scenes on a sheet, each by three exposures."""


def write_sheet(path: Path, through: Finishing, scenes: Sequence[Scene]) -> None:
    """A row for each exposure of the first scenes.

    Raises:
        PictureError: the file cannot be written.
    """
    from ispdsl.comparison.sheet import write_rows
    from ispdsl.learned.frontend import JUDGED, JUDGED_SIDE, cut, finished, psnr
    from ispdsl.runtime.contact_sheet import THUMBNAIL, shrink

    rows = []
    for scene in [cut(each, JUDGED_SIDE) for each in scenes[:SHOWN]]:
        for profile in JUDGED:
            noise = "long exposure" if profile is None else f"shot noise {profile[0]:g}"
            pictures, remarks = [], []
            for composite in (through.plain, through.learned):
                given, wanted = finished(composite, through, scene, profile)
                pictures.append(given)
                remarks.append(f"{psnr(given, wanted):.1f} dB")
            tiles = zip(
                (f"demosaic, {noise}", "front end", f"wanted: {scene.name}"),
                (*remarks, ""),
                (*pictures, wanted),
                strict=True,
            )
            rows.append(
                [
                    (title, remark, shrink(picture[0].clamp(0, 1).cpu().numpy(), THUMBNAIL))
                    for title, remark, picture in tiles
                ]
            )
    write_rows(path, rows)
