"""Every diagnostic code: its title, why it is wrong, a wrong example and the right one (`ispdsl explain E201`)."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry
from ispdsl.catalogue.syntax import SYNTAX

ENTRIES: dict[str, Entry] = {entry.code: entry for entry in SYNTAX}
"""All entries by code."""

__all__ = ["ENTRIES", "Entry"]
