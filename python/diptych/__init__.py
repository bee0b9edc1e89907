"""Core ML programs on Linux.

    import diptych
    outputs = diptych.Model("model.mlpackage").predict({"x": x})

runs a Core ML model or an ExecuTorch program on NumPy arrays.

    diptych.register_coremltools()

makes the predictions of stock coremltools work in this process, and

    diptych.register()

makes the process's ExecuTorch able to run .pte files whose delegates are Core ML programs: it loads a
shared library that registers a backend named CoreMLBackend. It does not matter whether coremltools or
executorch.runtime is imported before or after.

`python -m diptych` is the diptych command.
"""

from diptych._coremltools import register_coremltools
from diptych._library import library_path, register
from diptych._model import Feature, Model
from diptych._native import Error

__all__ = ["Error", "Feature", "Model", "library_path", "register", "register_coremltools"]
