"""Which comment belongs to what: before a statement, behind it, or inside of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from ispdsl.source import Span
from ispdsl.syntax.tree import Comment


@dataclass
class Placed:
    """The comments of one statement: on lines before it, behind its end, and somewhere inside."""

    before: list[Comment] = field(default_factory=list[Comment])
    behind: Comment | None = None
    inside: list[Comment] = field(default_factory=list[Comment])


def place(comments: Sequence[Comment], spans: Sequence[Span]) -> tuple[list[Placed], list[Comment]]:
    """The comments of each of some statements in the order of the text, and those after all of them."""
    placed = [Placed() for _ in spans]
    rest: list[Comment] = []
    starts = [span.start for span in spans]
    for comment in comments:
        index = bisect_right(starts, comment.span.start) - 1
        if index >= 0 and comment.span.start < spans[index].end:
            placed[index].inside.append(comment)
        elif index >= 0 and not comment.own_line and _is_next(placed, index, rest):
            placed[index].behind = comment
        else:
            (placed[index + 1].before if index + 1 < len(placed) else rest).append(comment)
    return placed, rest


def _is_next(placed: Sequence[Placed], index: int, rest: Sequence[Comment]) -> bool:
    """Whether no other comment stands between a statement and the next one yet."""
    following = placed[index + 1].before if index + 1 < len(placed) else rest
    return placed[index].behind is None and not following
