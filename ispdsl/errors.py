"""What can go wrong after a file has been checked. Each says what, where and how to mend it; none shows a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend: `message` says what is wrong and where, `hint` what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint


class PlanError(UserError):
    """A graph cannot be planned: no implementation fits, a name does not exist, a type variable is unbound."""


class NoProgramError(PlanError):
    """A node has nothing here that runs it: no program, and no double."""


class CompileError(UserError):
    """A plan cannot be made executable: a program is missing, not trusted, or disagrees with its declaration."""


class RunError(UserError):
    """An executable was given the wrong images, settings or metadata."""


class FileError(CompileError, RunError):
    """A file of weights, images or labels is missing, damaged, or of something else."""


class StageError(RunError):
    """A program failed while running node `node`."""

    def __init__(self, node: str, stage: str, message: str) -> None:
        super().__init__(f"{node} (stage {stage}): {message}")
        self.node = node
        self.stage = stage
