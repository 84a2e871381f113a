"""`python -m ispdsl.device` is `ispdsl-device`."""

from __future__ import annotations

import sys

from ispdsl.device.cli import main

if __name__ == "__main__":
    sys.exit(main())
