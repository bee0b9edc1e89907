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


def main(*command):
    tool = executable()
    if tool is None:
        sys.exit(
            "diptych: this installation has no executable; install the package with `pip install .` "
            "in diptych's source, or set DIPTYCH_EXECUTABLE"
        )
    try:
        os.execv(tool, ["diptych", *command, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"diptych: {tool}: {error.strerror}; see DIPTYCH_EXECUTABLE")


def worker():
    """diptych-worker, which ExecuTorch's llm_server starts without naming a command."""
    main("worker")


if __name__ == "__main__":
    main()
