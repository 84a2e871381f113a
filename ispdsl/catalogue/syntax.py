"""E1xx: texts that are not of the language."""

from __future__ import annotations

from ispdsl.catalogue.entry import Entry

SYNTAX: tuple[Entry, ...] = ()
