"""Core ML programs as Python objects that take and give NumPy arrays."""

import ctypes
import os
import threading
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from diptych import _native
from diptych._native import Error


class Feature(NamedTuple):
    """An input or output of a function."""

    name: str
    dtype: str  # NumPy's name
    shape: Tuple[int, ...]


class _Handle:
    """A model's handle in the library; freed with the last object that uses it."""

    def __init__(self, path, numerics, threads):
        if numerics not in _native.NUMERICS:
            raise ValueError(f"numerics: expected one of {', '.join(_native.NUMERICS)}, found {numerics!r}")
        options = _native.Options(ctypes.sizeof(_native.Options), _native.NUMERICS[numerics], threads)
        self.value = ctypes.c_void_p()
        # Kept, since modules are empty by the time that the last objects go.
        self.free = _native.library().diptych_model_free
        _native.call("diptych_model_open", os.fsencode(path), options, self.value)

    def __del__(self):
        if getattr(self, "value", None):
            self.free(self.value)


class _Function:
    """A loaded function. One call at a time: callers of several threads wait for one another."""

    def __init__(self, model, name):
        self.model = model
        self.lock = threading.Lock()
        self.value = ctypes.c_void_p()
        self.free = _native.library().diptych_function_free
        _native.call("diptych_function_load", model.value, name.encode(), self.value)
        self.optional = set()  # names of inputs that have a default value
        self.inputs, self.outputs = self._features("input"), self._features("output")
        self._name_classes()

    def __del__(self):
        if getattr(self, "value", None):
            self.free(self.value)

    def _features(self, side):
        count = getattr(_native.library(), f"diptych_function_{side}_count")(self.value)
        features = []
        for index in range(count):
            found = _native.Feature()
            _native.call(f"diptych_function_{side}", self.value, index, found)
            shape = tuple(found.shape[i] for i in range(found.rank))
            features.append(Feature(_native.text(found.name), _native.DTYPES[found.dtype], shape))
            if found.optional:
                self.optional.add(features[-1].name)
        return features

    def _name_classes(self):
        """Of a classifier, the classes as Python has them, and its outputs as what a prediction holds."""
        found = _native.Classes()
        _native.library().diptych_function_classes(self.value, found)
        kind = int if found.integers else str
        self.classes = [kind(_native.text(found.names[i])) for i in range(found.count)]
        self.label, self.probabilities = found.label, found.probabilities

    def named(self, results) -> dict:
        """What a call returned, by name: arrays, of a classifier the class and a probability for each."""
        outputs = {}
        for index, (feature, result) in enumerate(zip(self.outputs, results)):
            if self.classes and index == self.label:
                outputs[feature.name] = self.classes[result.item()]
            elif self.classes and index == self.probabilities:
                outputs[feature.name] = dict(zip(self.classes, result.tolist()))
            else:
                outputs[feature.name] = result
        return outputs

    def missing(self, inputs) -> List[str]:
        """Names of the inputs that must be there and are not."""
        names = [feature.name for feature in self.inputs]
        return [name for name in names if name not in inputs and name not in self.optional]

    def arguments(self, inputs, exact: bool = True) -> list:
        """The arrays for a call, in order."""
        return [fitted(feature, inputs[feature.name], exact) if feature.name in inputs else None
                for feature in self.inputs]  # fmt: skip

    def __call__(self, arrays):
        """`arrays` are contiguous and of the inputs' types, in their order; so is what is returned. None stands
        for the default of an optional input."""
        import numpy as np

        results = [np.empty(feature.shape, feature.dtype) for feature in self.outputs]
        with self.lock:
            for index, array in enumerate(arrays):
                given = (None, 0) if array is None else (array.ctypes.data, array.nbytes)
                _native.call("diptych_function_bind_input", self.value, index, *given)
            for index, array in enumerate(results):
                _native.call("diptych_function_bind_output", self.value, index, array.ctypes.data, array.nbytes)
            _native.call("diptych_function_run", self.value)
        return results


def fitted(feature: Feature, value, exact: bool = True):
    """`value` as the contiguous array that a function takes for `feature`.

    Elements are converted to its type; with `exact`, one that an integer type cannot hold is refused. An
    array of one element may have any shape of one element.
    """
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise Error(f'input "{feature.name}": expected numbers, found {array.dtype}', "invalid argument")
    one = array.size == 1 and all(n == 1 for n in feature.shape)
    if array.shape != feature.shape and not one:
        expected, found = list(feature.shape), list(array.shape)
        raise Error(f'input "{feature.name}": expected {feature.dtype}{expected}, found {array.dtype}{found}',
                    "invalid argument")  # fmt: skip
    with np.errstate(all="ignore"):
        converted = np.ascontiguousarray(array.astype(feature.dtype, copy=False)).reshape(feature.shape)
        if exact and converted.dtype.kind in "biu" and not np.array_equal(converted, array.reshape(feature.shape)):
            raise Error(f'input "{feature.name}": {feature.dtype} cannot hold all elements', "invalid argument")
    return converted


class Model:
    """A Core ML model that holds an ML Program (.mlpackage, .mlmodelc, .mlmodel), or a .pte.

        model = diptych.Model("model.mlpackage")
        outputs = model.predict({"x": x})

    Weights are read where they lie in the file, which must not change while the model is in use. Threads may
    share a model.
    """

    def __init__(self, path, *, numerics: str = "precise", threads: int = 0):
        """Opens a file.

        numerics: how fp16 operations are rounded. "precise" computes in fp32 and rounds outputs alone; "fast"
            also multiplies quantised weights with activations of 8 bits; "typed" rounds every result to its type.
        threads: at most so many; 0 for as many as the process may use CPUs.

        Raises Error for files that are damaged or hold what diptych does not support.
        """
        self._handle = _Handle(path, numerics, threads)
        self._lock = threading.Lock()
        self._functions = {}

    @property
    def functions(self) -> List[str]:
        """Names of the functions, in the file's order."""
        lib = _native.library()
        count = lib.diptych_model_function_count(self._handle.value)
        return [_native.text(lib.diptych_model_function_name(self._handle.value, i)) for i in range(count)]

    @property
    def default_function(self) -> str:
        return _native.text(_native.library().diptych_model_default_function(self._handle.value))

    @property
    def specification_version(self) -> int:
        """Core ML's, 6 to 10; 0 for a .pte."""
        return _native.library().diptych_model_specification_version(self._handle.value)

    def load(self, function: Optional[str] = None) -> _Function:
        """Compiles a function if that has not been done. Raises Error with all that cannot run."""
        name = function or self.default_function
        with self._lock:
            if name not in self._functions:
                self._functions[name] = _Function(self._handle, name)
            return self._functions[name]

    def inputs(self, function: Optional[str] = None) -> List[Feature]:
        """What a function takes. Values of a .pte are called input_0, input_1 and so on."""
        return list(self.load(function).inputs)

    def outputs(self, function: Optional[str] = None) -> List[Feature]:
        """What a function gives."""
        return list(self.load(function).outputs)

    def predict(self, inputs: Mapping[str, object], function: Optional[str] = None) -> Dict[str, object]:
        """Calls a function.

        inputs: anything that numpy.asarray() takes, by name; elements are converted to the function's types.
            Optional inputs may be left out.
        function: its name; None for the model's default.

        Returns arrays by name; of a classifier also the likeliest class, and a dictionary that has the
        probability of each. Raises Error for a missing, surplus or misshapen input, and for data that the
        function cannot compute with, such as an index out of range.
        """
        loaded = self.load(function)
        names = [feature.name for feature in loaded.inputs]
        wrong = loaded.missing(inputs) or [name for name in inputs if name not in names]
        if wrong:
            what = "is missing" if wrong[0] in names else "is not one of them"
            takes = ", ".join(f"{f.name}: {f.dtype}{list(f.shape)}" for f in loaded.inputs)
            raise Error(f'"{wrong[0]}" {what}; the inputs are {takes}', "invalid argument")
        return loaded.named(loaded(loaded.arguments(inputs)))
