"""Where a declaration of the IR was written."""

from __future__ import annotations

from pydantic import BaseModel


class Location(BaseModel, frozen=True):
    """A place in a file: offsets of the first character and past the last, line and column counted from 1."""

    file: str
    line: int
    column: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
