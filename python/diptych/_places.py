"""Where the package's libraries are."""

import os
from pathlib import Path


def located(variable, name, missing):
    """The library that an environment variable names, or else `name` of this package.

    Raises ImportError; `missing` says what to do where the package has none.
    """
    override = os.environ.get(variable)
    if override:
        if not Path(override).exists():
            raise ImportError(f"{variable}: there is no {override}")
        return Path(override)
    own = Path(__file__).parent / "lib" / name
    if not own.exists():
        raise ImportError(missing)
    return own
