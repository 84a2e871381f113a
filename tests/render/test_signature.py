"""What a listing says of a stage."""

from __future__ import annotations

import pytest

from ispdsl.render.signature import gist


@pytest.mark.parametrize(
    ("doc", "first"),
    [
        ("Bend it. Then more.", "Bend it"),
        ("Mertens et al. 2007, sec. 3, eq. 4: weights. More.", "Mertens et al. 2007, sec. 3, eq. 4"),
        ("Half the size (ITU-R BT.709). More.", "Half the size (ITU-R BT.709)"),
        ("One part; another.", "One part"),
    ],
)
def test_the_gist_is_the_first_sentence(doc: str, first: str) -> None:
    assert gist(doc) == first
