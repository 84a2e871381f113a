"""What can go wrong with a run directory."""

from __future__ import annotations

from ispdsl.errors import UserError


class StoreError(UserError):
    """A run is not there, is damaged, or does not fit what is asked of it."""


class DiskError(StoreError):
    """Something cannot be written: the disk is full, protected, or fails. Nothing of it was acknowledged."""
