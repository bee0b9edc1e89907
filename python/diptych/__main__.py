"""python -m diptych: the command-line tool of this package."""

import os
import shutil
import sys
from pathlib import Path


def executable():
    """The tool of this package, $DIPTYCH_EXECUTABLE, or one in the path."""
    override = os.environ.get("DIPTYCH_EXECUTABLE")
    own = Path(__file__).parent / "bin" / "diptych"
    if override:
        return override
    return str(own) if own.exists() else shutil.which("diptych")


def main():
    tool = executable()
    if tool is None:
        sys.exit(
            "diptych: this installation has no executable; install the package with `pip install .` "
            "in diptych's source, or set DIPTYCH_EXECUTABLE"
        )
    os.execv(tool, ["diptych", *sys.argv[1:]])


if __name__ == "__main__":
    main()
