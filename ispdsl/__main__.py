"""``python -m ispdsl``, and the command `ispdsl`."""

from __future__ import annotations

import atexit
import os
import sys


def main() -> None:
    """Run the command line. An interrupt ends it with one line and exit code 130, even while it is being imported."""
    codes: list[int] = []
    atexit.register(_end, codes)  # before all others, so that it is called after them
    # No plugin of pydantic has a part in this, and to look for some reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from ispdsl.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except SystemExit as stop:
        codes += [stop.code or 0] if stop.code is None or isinstance(stop.code, int) else []
        raise


def _end(codes: list[int]) -> None:
    """End the process after its threads, once its exit code is known: to take torch and images apart takes longer.

    Where stdout or stderr cannot be written to, Python ends it its own way, and says so.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    if codes:
        os._exit(codes[0])


if __name__ == "__main__":
    main()
