"""Predictions in stock coremltools on Linux: what coremltools.libcoremlpython is on a Mac."""

import importlib
import importlib.util
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path

from diptych._model import Model
from diptych._native import Error

MODULE = "coremltools.libcoremlpython"
# The system that coremltools asks for where it loads, compiles and calls models.
MACOS_VERSION = (15, 0)
# What raised RuntimeErrors say, as on a Mac: callers look for it.
PREDICTION_FAILED = "Unable to compute the prediction using ML Program. "
# Folders that stand for compiled models hold what they were made from under one of these names.
PACKAGE, SPECIFICATION = "source.mlpackage", "source.mlmodel"

_options = {"numerics": "precise", "threads": 0}


def _source(path):
    """The package or specification of a folder that stands for a compiled model; of others, the path."""
    for name in (PACKAGE, SPECIFICATION):
        if (Path(path) / name).exists():
            return Path(path) / name
    return Path(path)


def _compile(path, folder):
    source = _source(path)
    if source.is_dir():
        shutil.copytree(source, Path(folder) / PACKAGE)
    else:
        shutil.copy(source, Path(folder) / SPECIFICATION)
        weights = source.parent / "weights"
        if weights.is_dir():
            shutil.copytree(weights, Path(folder) / "weights")


class _MLModelAssetProxy:
    """A compiled model that models are made from; `path` is its folder."""

    def __init__(self, path, folder=None):
        self.path = path
        self._folder = folder  # deleted with this object


class _MLModelProxy:
    """A loaded function of a model. Raises RuntimeError, which coremltools keeps until predict() is called."""

    def __init__(self, path, compute_units, function_name="", optimization_hints=None, asset=None):
        start = time.perf_counter_ns()
        self._path = _source(asset.path if asset is not None else path)
        self._asset = asset
        self._compiled = None
        # A specification may be deleted once the model is made from it.
        self._specification = self._path.read_bytes() if self._path.is_file() else None
        self._function = Model(self._path, **_options).load(function_name or None)
        self._load_duration = time.perf_counter_ns() - start
        self._predict_duration = 0

    def predict(self, inputs, state=None):
        import numpy as np

        start = time.perf_counter_ns()
        if state is not None:
            raise RuntimeError(PREDICTION_FAILED + "The model has no state.")
        function = self._function
        missing = function.missing(inputs)
        if missing:
            raise RuntimeError(PREDICTION_FAILED + f'Feature "{missing[0]}" is required but not specified.')
        try:
            # coremltools passes floats whatever the feature's type is.
            results = function(function.arguments(inputs, exact=False))
        except Error as error:
            raise RuntimeError(PREDICTION_FAILED + str(error)) from error
        self._predict_duration = time.perf_counter_ns() - start
        # Core ML has no arrays of rank 0.
        return function.named([np.atleast_1d(result) for result in results])

    def batchPredict(self, batch):
        return [self.predict(inputs) for inputs in batch]

    def newState(self):
        raise RuntimeError("The model has no state.")

    def get_compiled_model_path(self):
        """A folder that stands for the compiled model, as long as this object lives."""
        if self._compiled is None:
            self._compiled = tempfile.TemporaryDirectory(suffix=".mlmodelc")
            if self._path.exists():
                _compile(self._path, self._compiled.name)
            else:
                (Path(self._compiled.name) / SPECIFICATION).write_bytes(self._specification)
        return self._compiled.name

    def get_load_duration_in_nano_seconds(self):
        return self._load_duration

    def get_last_predict_duration_in_nano_seconds(self):
        return self._predict_duration

    @staticmethod
    def compileModel(path):
        folder = tempfile.mkdtemp(suffix=".mlmodelc")
        _compile(path, folder)
        return folder

    @staticmethod
    def create_model_asset_from_path(path):
        return _asset(_MLModelAssetProxy(path))

    @staticmethod
    def create_model_asset_from_memory(specification, blobs):
        """`blobs` has the bytes of weight files by their paths in the program, "weights/weight.bin"."""
        folder = tempfile.TemporaryDirectory(suffix=".mlmodelc")
        (Path(folder.name) / SPECIFICATION).write_bytes(specification)
        for name, data in blobs.items():
            parts = [part for part in Path(name).parts if part not in ("@model_path", "/")]
            if ".." in parts:
                raise RuntimeError(f"a weight file outside of the model: {name}")
            target = Path(folder.name).joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return _asset(_MLModelAssetProxy(folder.name, folder))

    @staticmethod
    def auto_set_specification_version(specification):
        return specification

    @staticmethod
    def maximum_supported_specification_version():
        return 10


def _asset(proxy):
    return sys.modules["coremltools.models.model"].MLModelAsset(proxy)


def _put_in_place(module):
    """Gives coremltools' loaded modules what they could not import, and the system that they ask for."""
    patched = {
        "_MLModelProxy": module._MLModelProxy,
        "_MLModelAssetProxy": module._MLModelAssetProxy,
        "_is_macos": lambda: True,
        "_macos_version": lambda: MACOS_VERSION,
    }
    for name, loaded in list(sys.modules.items()):
        if name.startswith("coremltools.models.") or name == "coremltools.models":
            for attribute, value in patched.items():
                if attribute in vars(loaded):
                    setattr(loaded, attribute, value)


def register_coremltools(*, numerics="precise", threads=0):
    """Makes predictions of stock coremltools work in this process on Linux; before or after it is imported.

    After it MLModel.predict(), CompiledMLModel, MLModelAsset and models of several functions run ML Programs on
    diptych's engine. `numerics` and `threads` are those of diptych.Model, for models that are loaded later.
    Where coremltools has its own libcoremlpython, on a Mac, nothing changes.

    Raises ImportError when coremltools is not installed, or diptych's library is missing.
    """
    from diptych import _native

    if importlib.util.find_spec("coremltools") is None:
        raise ImportError("diptych.register_coremltools(): coremltools is not installed; pip install coremltools")
    if numerics not in _native.NUMERICS:
        raise ValueError(f"numerics: expected one of {', '.join(_native.NUMERICS)}, found {numerics!r}")
    _native.library()
    _options.update(numerics=numerics, threads=threads)
    present = sys.modules.get(MODULE)
    if present is not None and not getattr(present, "__diptych__", False):
        return
    if present is None:
        directory = Path(importlib.util.find_spec("coremltools").origin).parent
        if any(directory.glob("libcoremlpython*")):
            return
        module = types.ModuleType(MODULE, __doc__)
        module.__diptych__ = True
        module._MLModelProxy, module._MLModelAssetProxy = _MLModelProxy, _MLModelAssetProxy
        sys.modules[MODULE] = module
    coremltools = importlib.import_module("coremltools")
    coremltools.libcoremlpython = sys.modules[MODULE]
    importlib.import_module("coremltools.models._compiled_model")
    _put_in_place(sys.modules[MODULE])
