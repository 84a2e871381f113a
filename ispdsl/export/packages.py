"""The packages that ONNX needs, which ispdsl itself does not."""

from __future__ import annotations

import importlib.util

from ispdsl.export.faults import ExportError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INSTALL = "pip install 'ispdsl[export]', or pip install onnx onnxscript onnxruntime"


def check_packages() -> None:
    """Find out before the work whether the packages are there.

    Raises:
        ExportError: one is not; the hint has the line that installs them.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"packages for ONNX are not installed: {', '.join(missing)}", INSTALL)
