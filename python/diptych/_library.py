"""Loads the backend into this process."""

import ctypes
import importlib.util
from pathlib import Path

from diptych._places import located

LIBRARY_NAME = "libexecutorch_backend_coreml.so"

# Keeps loaded libraries loaded, and register() from loading twice.
_loaded = None


def library_path():
    """Where the backend is: $DIPTYCH_EXECUTORCH_LIBRARY, or else part of this package.

    Raises ImportError when this package was built without ExecuTorch in reach.
    """
    return located(
        "DIPTYCH_EXECUTORCH_LIBRARY",
        LIBRARY_NAME,
        "diptych was built without its ExecuTorch backend, because ExecuTorch was not installed: "
        "pip install executorch (1.5 or later), then build diptych again with "
        "pip install --force-reinstall --no-deps --no-build-isolation <diptych's source>, or make the library "
        "with `make plugin` and set DIPTYCH_EXECUTORCH_LIBRARY to it",
    )


def _executorch_directory():
    # Found without importing it: what an import of ExecuTorch brings along is the caller's business.
    spec = importlib.util.find_spec("executorch")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise ImportError("diptych.register(): ExecuTorch is not installed; pip install executorch")
    return Path(places[0])


def _check_version(library, executorch):
    """ExecuTorch promises no binary compatibility between versions."""
    built_for = library.with_suffix(".executorch-version")
    version = executorch / "version.py"
    if not built_for.exists() or not version.exists():
        return
    scope = {}
    exec(version.read_text(), scope)
    wanted, found = built_for.read_text().strip(), scope.get("__version__", "")
    # What follows + is the variant: +cpu.
    if wanted.partition("+")[0] != found.partition("+")[0]:
        raise ImportError(
            f"diptych's backend was built for ExecuTorch {wanted}, {executorch} is {found}: build diptych again"
        )


def register():
    """Makes CoreMLBackend available to ExecuTorch in this process; returns the library's path.

    Before or after `import executorch.runtime`; a second call does nothing. The numerics are those
    of $DIPTYCH_NUMERICS, or the backend's default. Raises ImportError, which says what is missing.
    """
    global _loaded
    if _loaded is None:
        library = library_path()
        executorch = _executorch_directory()
        _check_version(library, executorch)
        runtime = executorch / "lib" / "libexecutorch.so"
        if not runtime.exists():
            raise ImportError(
                f"{executorch} has no lib/libexecutorch.so; ExecuTorch 1.5 or later is needed"
            )
        # The backend names libexecutorch.so without a place: it takes the one that is loaded.
        runtime_handle = ctypes.CDLL(str(runtime))
        try:
            _loaded = library, runtime_handle, ctypes.CDLL(str(library))
        except OSError as error:
            raise ImportError(f"diptych's backend does not load: {error}") from error
    return _loaded[0]
