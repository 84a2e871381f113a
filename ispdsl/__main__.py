"""``python -m ispdsl``."""

from __future__ import annotations

from ispdsl.cli.app import main

if __name__ == "__main__":
    main()
