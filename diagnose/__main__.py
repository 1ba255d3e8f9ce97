"""`python -m diagnose`, and the door of the command: an interrupt while the program loads is one line as well."""

import os
import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from diagnose.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
        os._exit(130)


if __name__ == "__main__":
    main()
