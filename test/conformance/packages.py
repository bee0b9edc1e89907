"""Our packages in coremltools, and our extract beside upstream's."""

import contextlib
import filecmp
import io
import tempfile
import time
from pathlib import Path

import upstream
from context import run
from report import Row


def infer_types(package):
    """Loads every function of a package through coremltools, which infers each operation's type and compares."""
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.models.utils import load_spec

    spec = load_spec(str(package))
    weights = package / "Data" / "com.apple.CoreML" / "weights"
    program = load(spec, spec.specificationVersion, str(weights))
    return sum(len(list(function.operations)) for function in program.functions.values())


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def same_tree(ours, theirs):
    """What differs between two directories, or an empty string."""
    if files(ours) != files(theirs) or not files(ours):
        return f"files {files(ours)} and {files(theirs)}"
    _, different, errors = filecmp.cmpfiles(ours, theirs, files(ours), shallow=False)
    return ", ".join(different + errors)


def rows(context):
    from executorch.examples.apple.coreml.scripts.extract_coreml_models import extract_coreml_models

    checkpoint = context.demo
    chosen = [upstream.Variant("multi", "fp16", "c4w", "8,0")]
    if not context.smoke:
        chosen += [
            upstream.Variant("single", "fp32", "b4w", "4,32"),
            upstream.Variant("multi", "fp16", "none", "none"),
        ]
    for variant in chosen:
        for exporter, export in (("upstream", context.upstream_export), ("diptych", context.export)):
            path = export(checkpoint, variant)
            with tempfile.TemporaryDirectory() as directory:
                ours, theirs = Path(directory, "ours"), Path(directory, "theirs")
                run([context.diptych, "extract", path, "-o", ours])
                with contextlib.redirect_stdout(io.StringIO()):
                    extract_coreml_models(path.read_bytes(), theirs)
                note = same_tree(ours, theirs)
                yield Row(f"extract {exporter}'s {variant}: upstream's files", not note, note=note)
                if exporter == "upstream":
                    continue
                start = time.time()
                operations = sum(infer_types(package) for package in ours.rglob("*.mlpackage"))
                name = f"types of {operations} operations inferred by coremltools, {variant}"
                yield Row(name, operations > 0, seconds=time.time() - start)
