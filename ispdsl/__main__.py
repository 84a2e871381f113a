"""``python -m ispdsl``, and the command `ispdsl`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. An interrupt ends it with one line and exit code 130, even while it is being imported."""
    try:
        from ispdsl.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
