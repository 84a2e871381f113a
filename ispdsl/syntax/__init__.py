"""The `.isp` language as text: its tree, its parser and its printer."""

from __future__ import annotations
