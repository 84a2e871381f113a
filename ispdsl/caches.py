"""Where results are kept that can be had again: a folder of the user's own."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """``ispdsl`` below XDG_CACHE_HOME (XDG Base Directory Specification 0.8), by default below ``~/.cache``.

    Raises:
        RuntimeError: the user has no home.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "ispdsl"
