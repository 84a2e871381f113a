"""Valid files that tests mutate, format and measure."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "files"
FILES = sorted(FOLDER.glob("*.isp"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in FILES}
