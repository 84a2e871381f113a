"""Plant a fault: the module is imported from a changed text, for all that import it afterwards."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from benchmarks.faults.fault import Fault, FaultError


class Planted(SourceFileLoader):
    """Compiles the changed text of a module; nothing of it is cached on disk."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.module, path)
        self._fault = fault

    def get_code(self, fullname: str) -> CodeType:
        """The code of the module with the fault in it."""
        return compile(self._fault.planted(self.get_data(self.path).decode()), self.path, "exec", dont_inherit=True)


class Planter(MetaPathFinder):
    """Finds one module, with a fault in it."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module is and that this loads it; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._fault.module else None
        if spec is not None and spec.origin is not None:
            spec.loader = Planted(self._fault, spec.origin)
        return spec


def plant(fault: Fault) -> None:
    """Let this process import the fault's module with the fault in it.

    Raises:
        FaultError: the module was imported before, so that the fault would not be seen.
    """
    if fault.module in sys.modules:
        raise FaultError(f"{fault.name}: {fault.module} was imported before the fault was planted")
    sys.meta_path.insert(0, Planter(fault))
