"""The C library, libdiptych (include/diptych/diptych.h), by ctypes."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p

from diptych._places import located

LIBRARY_NAME = "libdiptych.so"

# The element types of features: the number in diptych.h, and NumPy's name.
DTYPES = {
    1: "bool",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "uint8",
    7: "uint16",
    8: "uint32",
    9: "uint64",
    10: "float16",
    11: "float32",
    12: "float64",
}
NUMERICS = {"precise": 0, "fast": 1, "typed": 2}


class Error(RuntimeError):
    """What diptych could not do, and why; `code` is one of the names below."""

    CODES = {
        1: "invalid data",
        2: "unsupported",
        3: "not found",
        4: "invalid argument",
        5: "io",
        6: "internal",
    }

    def __init__(self, message, code="internal"):
        super().__init__(message)
        self.code = code


class Options(Structure):
    _fields_ = [("size", c_size_t), ("numerics", c_int), ("threads", c_int)]


class Feature(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("dtype", c_int),
        ("rank", c_size_t),
        ("shape", POINTER(c_int64)),
        ("bytes", c_size_t),
        ("optional", c_int),
    ]


class Classes(Structure):
    _fields_ = [
        ("count", c_size_t),
        ("names", POINTER(c_char_p)),
        ("integers", c_int),
        ("label", c_size_t),
        ("probabilities", c_size_t),
    ]


# name: (result, arguments). Those whose result is an error are called by call().
_ERROR = c_void_p
_SIGNATURES = {
    "diptych_version": (c_char_p, []),
    "diptych_error_code": (c_int, [c_void_p]),
    "diptych_error_message": (c_char_p, [c_void_p]),
    "diptych_error_free": (None, [c_void_p]),
    "diptych_model_open": (_ERROR, [c_char_p, POINTER(Options), POINTER(c_void_p)]),
    "diptych_model_free": (None, [c_void_p]),
    "diptych_model_function_count": (c_size_t, [c_void_p]),
    "diptych_model_function_name": (c_char_p, [c_void_p, c_size_t]),
    "diptych_model_default_function": (c_char_p, [c_void_p]),
    "diptych_model_specification_version": (c_int, [c_void_p]),
    "diptych_function_load": (_ERROR, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "diptych_function_free": (None, [c_void_p]),
    "diptych_function_input_count": (c_size_t, [c_void_p]),
    "diptych_function_output_count": (c_size_t, [c_void_p]),
    "diptych_function_input": (_ERROR, [c_void_p, c_size_t, POINTER(Feature)]),
    "diptych_function_output": (_ERROR, [c_void_p, c_size_t, POINTER(Feature)]),
    "diptych_function_classes": (None, [c_void_p, POINTER(Classes)]),
    "diptych_function_bind_input": (_ERROR, [c_void_p, c_size_t, c_void_p, c_size_t]),
    "diptych_function_bind_output": (_ERROR, [c_void_p, c_size_t, c_void_p, c_size_t]),
    "diptych_function_run": (_ERROR, [c_void_p]),
}

_library = None


def path():
    """Where the library is: $DIPTYCH_LIBRARY, or else part of this package."""
    return located(
        "DIPTYCH_LIBRARY",
        LIBRARY_NAME,
        f"this installation has no {LIBRARY_NAME}; install the package with `pip install .` in diptych's "
        "source, or set DIPTYCH_LIBRARY to one",
    )


def library():
    """The library, loaded at the first call."""
    global _library
    if _library is None:
        found = path()
        try:
            loaded = ctypes.CDLL(str(found))
        except OSError as error:
            raise ImportError(f"{found} does not load: {error}") from error
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
        _library = loaded
    return _library


def call(name, *arguments):
    """Calls a function that returns an error, which is raised."""
    lib = library()
    error = getattr(lib, name)(*arguments)
    if error:
        message = lib.diptych_error_message(error).decode(errors="replace")
        code = Error.CODES.get(lib.diptych_error_code(error), "internal")
        lib.diptych_error_free(error)
        raise Error(message, code)


def text(value):
    return value.decode(errors="replace")

