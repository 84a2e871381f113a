"""What lies in folders of images and is none."""

from __future__ import annotations

from pathlib import Path

NOTES = (".json", ".txt", ".md", ".xmp")
"""Suffixes of settings, descriptions and remarks that are kept beside images."""


def is_note(path: Path) -> bool:
    """Whether a file beside images is hidden, or tells of them: a sidecar, a description, a licence."""
    return path.name.startswith(".") or path.suffix.lower() in NOTES
