"""What keeps a pipeline from being exported."""

from __future__ import annotations

from ispdsl.errors import UserError


class ExportError(UserError):
    """A pipeline cannot be put into a form, or what was written does not do what the composite does."""
