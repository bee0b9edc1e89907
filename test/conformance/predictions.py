"""Stock coremltools predicts on Linux (diptych.register_coremltools()), and diptych.Model beside it. Each case is
a script in a process of its own, as a user would write it: registration lasts as long as the process."""

import subprocess
import sys
import time

from report import Row

HEAD = """
import sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
"""
REGISTER = """
import diptych
diptych.register_coremltools()
"""
COREMLTOOLS = """
import coremltools as ct
from coremltools.converters.mil import Builder as mb
"""
CONVERT = """
def converted(function, specs, precision=ct.precision.FLOAT32, target=ct.target.iOS18, **more):
    program = mb.program(input_specs=specs, opset_version=target)(function)
    return ct.convert(program, convert_to="mlprogram", compute_precision=precision, minimum_deployment_target=target,
                      **more)

def near(found, expected, tolerance=1e-6):
    found = np.asarray(found)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert np.abs(found - expected).max() <= tolerance, (found, expected)

rng = np.random.default_rng(1)
x, y = rng.standard_normal((2, 3)).astype(np.float32), rng.standard_normal((2, 3)).astype(np.float32)
two = [mb.TensorSpec((2, 3)), mb.TensorSpec((2, 3))]
model = converted(lambda x, y: (mb.add(x=x, y=y, name="sum"), mb.mul(x=x, y=y, name="product")), two)
"""
FIRST, LAST = HEAD + REGISTER + COREMLTOOLS + CONVERT, HEAD + COREMLTOOLS + REGISTER + CONVERT

CASES = {
    "predict(), registered before the import": FIRST + """
found = model.predict({"x": x, "y": y})
near(found["sum"], x + y)
near(found["product"], x * y)
""",
    "predict(), registered after the import": LAST + """
near(model.predict({"x": x, "y": y})["sum"], x + y)
""",
    "lists of inputs": FIRST + """
found = model.predict([{"x": x, "y": y}, {"x": y, "y": y}])
near(found[0]["product"], x * y)
near(found[1]["sum"], y + y)
""",
    "an fp16 program with fp16 and int32 features": FIRST + """
from coremltools.converters.mil.mil import types
specs = [mb.TensorSpec((2, 3), types.fp16), mb.TensorSpec((2,), types.int32)]
half = converted(lambda x, i: (mb.gather(x=mb.silu(x=x), indices=i, axis=0, name="rows"), mb.add(x=i, y=np.int32(7), name="more")),
                 specs, ct.precision.FLOAT16)
found = half.predict({"x": x, "i": np.array([1, 0], np.float32)})
expected = x / (1 + np.exp(-x))
near(found["rows"], expected[[1, 0]], 2e-3)
assert found["more"].tolist() == [8, 7], found["more"]
""",
    "CompiledMLModel, compile_model() and MLModelAsset": FIRST + """
import tempfile
compiled = ct.models.CompiledMLModel(model.get_compiled_model_path())
near(compiled.predict({"x": x, "y": y})["sum"], x + y)
with tempfile.TemporaryDirectory() as folder:
    model.save(folder + "/m.mlpackage")
    asset = ct.models.model.MLModelAsset.from_path(ct.models.utils.compile_model(folder + "/m.mlpackage"))
    near(ct.models.CompiledMLModel.from_asset(asset).predict({"x": x, "y": y})["sum"], x + y)
    spec = ct.utils.load_spec(folder + "/m.mlpackage").SerializeToString()
    asset = ct.models.model.MLModelAsset.from_memory(spec_data=spec)
    near(ct.models.CompiledMLModel.from_asset(asset).predict({"x": x, "y": y})["product"], x * y)
""",
    "a package of several functions": FIRST + """
import tempfile
with tempfile.TemporaryDirectory() as folder:
    other = converted(lambda x: mb.mul(x=x, y=np.float32(3), name="out"), two[:1])
    descriptor = ct.utils.MultiFunctionDescriptor()
    for name, one in ("both", model), ("thrice", other):
        one.save(f"{folder}/{name}.mlpackage")
        descriptor.add_function(f"{folder}/{name}.mlpackage", "main", name)
    descriptor.default_function_name = "both"
    ct.utils.save_multifunction(descriptor, folder + "/multi.mlpackage")
    near(ct.models.MLModel(folder + "/multi.mlpackage").predict({"x": x, "y": y})["sum"], x + y)
    thrice = ct.models.MLModel(folder + "/multi.mlpackage", function_name="thrice")
    near(thrice.predict({"x": x})["out"], 3 * x)
    theirs = diptych.Model(folder + "/multi.mlpackage")
    assert sorted(theirs.functions) == ["both", "thrice"] and theirs.default_function == "both"
    near(theirs.predict({"x": x}, function="thrice")["out"], 3 * x)
""",
    "classifiers": FIRST + """
import tempfile
for labels, name in ((["cat", "dog", "eel"], None), ([7, -8, 9], "kind")):
    sorts = converted(lambda x: mb.softmax(x=x, axis=-1, name="odds"), [mb.TensorSpec((1, 3))],
                      classifier_config=ct.ClassifierConfig(labels, predicted_feature_name=name))
    given = {"x": np.array([[0.5, 2, 1]], np.float32)}
    expected = np.exp(given["x"][0]) / np.exp(given["x"]).sum()
    with tempfile.TemporaryDirectory() as folder:
        sorts.save(folder + "/m.mlpackage")
        for found in (sorts.predict(given), diptych.Model(folder + "/m.mlpackage").predict(given)):
            assert found.pop(name or "classLabel") == labels[1], found
            (odds,) = found.values()
            assert list(odds) == labels, odds
            near(list(odds.values()), expected)
""",
    "an optional input with a default, by verify --reference too": FIRST + """
import os, subprocess, tempfile
spec = model.get_spec()
kind = spec.description.input[1].type
kind.isOptional = True
kind.multiArrayType.floatDefaultValue = 2.5
def verified(folder, **arrays):
    np.savez(folder + "/io.npz", **arrays)
    return subprocess.run([os.environ["DIPTYCH_EXECUTABLE"], "verify", folder + "/m.mlpackage", "--reference",
                           folder + "/io.npz"], capture_output=True, text=True)
with tempfile.TemporaryDirectory() as folder:
    optional = ct.models.MLModel(spec, weights_dir=model.weights_dir)
    optional.save(folder + "/m.mlpackage")
    near(optional.predict({"x": x})["sum"], x + 2.5)
    near(optional.predict({"x": x, "y": y})["sum"], x + y)
    near(diptych.Model(folder + "/m.mlpackage").predict({"x": x})["product"], x * 2.5)
    assert verified(folder, x=x, sum=x + 2.5, product=x * 2.5).returncode == 0
    assert verified(folder, x=x, y=y, sum=x + y).returncode == 0
    failed = verified(folder, x=x, sum=x + 2)
    assert failed.returncode == 1 and "sum" in failed.stdout, (failed.stdout, failed.stderr)
    missing = verified(folder, y=y, sum=x + y)
    assert missing.returncode == 1 and "x" in missing.stdout, (missing.stdout, missing.stderr)
""",
    "errors are RuntimeErrors that say what is wrong": FIRST + """
try:
    model.__proxy__.predict({"x": x})
    raise SystemExit("no error for a missing input")
except RuntimeError as error:
    assert "Unable to compute the prediction using ML Program" in str(error) and '"y"' in str(error), error
try:
    model.predict({"x": x, "y": np.zeros((2, 4), np.float32)})
    raise SystemExit("no error for another shape")
except RuntimeError as error:
    assert "[2, 4]" in str(error), error
near(model.predict({"x": x, "y": y})["sum"], x + y)
""",
    "diptych.Model without coremltools": HEAD + """
import diptych, threading
sys.modules["coremltools"] = None
model = diptych.Model(sys.argv[1])
x, y = np.arange(6, dtype=np.int64).reshape(2, 3), np.ones((2, 3))
assert [tuple(f) for f in model.inputs()] == [("x", "float32", (2, 3)), ("y", "float32", (2, 3))], model.inputs()
results = [None] * 8
def work(i):
    results[i] = model.predict({"x": x + i, "y": y})["sum"]
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
for i, result in enumerate(results):
    assert np.array_equal(result, x + i + 1) and result.dtype == np.float32
for bad in ({"x": x}, {"x": x, "y": y, "z": y}, {"x": x[:1], "y": y}, {"x": "text", "y": y}):
    try:
        model.predict(bad)
        raise SystemExit(f"no error for {bad}")
    except diptych.Error as error:
        assert error.code == "invalid argument" and "\\n" not in str(error), error
try:
    diptych.Model("/no/such.mlpackage")
except diptych.Error as error:
    assert error.code == "not found", error
""",
}  # fmt: skip


def rows(context):
    package = context.work / "predictions.mlpackage"
    package.parent.mkdir(parents=True, exist_ok=True)
    saved = FIRST + "import shutil\nshutil.rmtree(sys.argv[1], ignore_errors=True)\nmodel.save(sys.argv[1])\n"
    for name, script in {"a package by coremltools": saved, **CASES}.items():
        start = time.time()
        done = subprocess.run([sys.executable, "-c", script, str(package)], env=context.environment,
                              capture_output=True, text=True)  # fmt: skip
        lines = done.stderr.strip().splitlines()
        note = "" if done.returncode == 0 else (lines[-1] if lines else f"status {done.returncode}")[:150]
        yield Row(name, done.returncode == 0, seconds=time.time() - start, note=note)
