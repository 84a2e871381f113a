"""Every diagnostic code: its title, why it is wrong, a wrong example and the right one (`ispdsl explain E201`)."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry
from ispdsl.catalogue.flow import FLOW, WARNINGS
from ispdsl.catalogue.names import NAMES
from ispdsl.catalogue.parameters import PARAMETERS
from ispdsl.catalogue.syntax import SYNTAX
from ispdsl.catalogue.types import TYPES

ENTRIES: dict[str, Entry] = {entry.code: entry for entry in (*SYNTAX, *NAMES, *TYPES, *PARAMETERS, *FLOW, *WARNINGS)}
"""All entries by code."""

__all__ = ["ENTRIES", "Entry"]
