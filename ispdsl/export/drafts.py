"""Files that appear under their names only when they were verified."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Generator[Path]:
    """A file of the name of `path` in a hidden folder beside it; where nothing was raised, it takes its place.

    Raises:
        OSError: the folder cannot be made, or the file not be moved.
    """
    target = path.resolve()
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.stem}."))
    try:
        draft = folder / target.name
        yield draft
        draft.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o644)
        draft.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
