"""Where things are, and how the parts of the suite start other programs."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from upstream import Checkpoint, Variant, arguments

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBRARY = "libexecutorch_backend_coreml.so"


@dataclass
class Context:
    build: Path  # diptych's build directory
    work: Path  # upstream's exports are kept here
    shared: Path  # reference data, if present
    smoke: bool

    @property
    def diptych(self):
        return self.build / "bin" / "diptych"

    @property
    def demo(self):
        return Checkpoint(ROOT / "demo", max_context_len=128, input_len=32)

    @property
    def stories(self):
        """A real small Llama with upstream's exports of it, or None."""
        directory = self.shared / "data" / "golden" / "models" / "stories"
        return Checkpoint(directory, max_context_len=512, input_len=32) if directory.exists() else None

    @property
    def environment(self):
        """For processes that import the package from the source tree."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT / "python"),
            "DIPTYCH_EXECUTORCH_LIBRARY": str(self.build / "lib" / LIBRARY),
            "DIPTYCH_LIBRARY": str(self.build / "lib" / "libdiptych.so"),
            "DIPTYCH_EXECUTABLE": str(self.diptych),
        }

    def export(self, checkpoint, variant: Variant):
        """A file by diptych."""
        output = self.work / f"ours_{checkpoint.name}_{variant.file_name}.pte"
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [self.diptych, "export", *arguments(checkpoint, variant, output), "--linear_quantize", variant.linear]
        run(command)
        return output

    def upstream_export(self, checkpoint, variant: Variant):
        """A file by upstream's exporter."""
        import upstream

        return upstream.export(checkpoint, variant, self.work / "upstream")


def run(command, environment=None):
    """Stdout of a command; raises with the end of its stderr when it fails."""
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name}: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def python(context, *arguments):
    return run([sys.executable, *arguments], context.environment)
