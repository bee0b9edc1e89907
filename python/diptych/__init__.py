"""Core ML programs in ExecuTorch on Linux.

    import diptych
    diptych.register()

makes the running process's ExecuTorch able to run .pte files whose delegates are Core ML programs:
it loads a shared library that registers a backend named CoreMLBackend. It does not matter whether
executorch.runtime is imported before or after.

`python -m diptych` is the diptych command.
"""

from diptych._library import library_path, register

__all__ = ["library_path", "register"]
