"""The programs that bench_peers.py compares with: how each is set up, and how its models are made and measured."""
import json
import os
import subprocess
import sys

from timed_peer import parse_test

HERE = os.path.dirname(os.path.abspath(__file__))
# How llama.cpp is compiled for less than this machine has.
LLAMA_BUILDS = {"avx2": "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"}
BEYOND_AVX2 = ("AVX_VNNI", "AVX512", "AMX")  # how features that such a build lacks begin
FLAGS_FILE = "llama_build_flags.txt"         # in the environment


def progress(text):
    print(text, file=sys.stderr, flush=True)


def run(command):
    """Stdout of a command, which must succeed; what it says on stderr is the user's to see."""
    command = [str(part) for part in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        sys.exit(f"{script}: this failed with status {result.returncode}: {' '.join(command)}")
    return result.stdout


def works(python, check):
    return os.path.exists(python) and subprocess.run([python, "-c", check], capture_output=True).returncode == 0


def make_venv(directory, packages):
    python = os.path.join(directory, "bin", "python")
    progress(f"installing {', '.join(packages)} in {directory}")
    if not os.path.exists(python):
        run([sys.executable, "-m", "venv", directory])
    run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *packages])


class Peer:
    """A program in an environment of its own. `options`: those of bench_peers.py."""

    name, formats, script = "", (), ""
    cache_bytes = 2  # of an element of a key or value

    def __init__(self, directory):
        self.python = os.path.join(directory, "bin", "python")

    def command(self, *arguments):
        return [self.python, os.path.join(HERE, self.script), *arguments]

    def model(self, options, shape, kind):
        """The path of a shape's model in a format, made when it is not there."""
        path = self.path(options.work, shape, kind)
        if not os.path.exists(path):
            progress(f"writing {path}")
            run(self.command("make", self.source(options, shape), kind, path))
        return path

    def serve(self, path, threads, params):
        return Served(self.command("serve", path, str(threads)), self.name, self.cache_bytes, params)


class LlamaCpp(Peer):
    name, script = "llama.cpp", "llama_peer.py"
    formats = ("f32", "f16", "q8_0", "q4_0", "q4_0_pure")
    packages = ["numpy", "gguf==0.19.0", "llama-cpp-python==0.3.36"]

    def __init__(self, options):
        directory = options.venv or os.path.join(options.work, f"venv-{options.isa}" if options.isa else "venv")
        super().__init__(directory)
        check = "import llama_cpp, gguf, numpy; print(llama_cpp.__version__)"
        flags_path = os.path.join(directory, FLAGS_FILE)
        if not works(self.python, check):
            if options.isa:
                # A cached wheel is of another kind.
                os.environ.update(CMAKE_ARGS=LLAMA_BUILDS[options.isa], PIP_NO_CACHE_DIR="1")
            make_venv(directory, self.packages)
            with open(flags_path, "w") as file:
                file.write(os.environ.get("CMAKE_ARGS", "") or "its defaults")
        self.version = run([self.python, "-c", check]).strip()
        info = run(self.command("about"))
        self.commit, self.features = (json.loads(info)[key] for key in ("commit", "features"))
        flags = "flags that nobody noted"
        if os.path.exists(flags_path):
            with open(flags_path) as file:
                flags = file.read()
        self.flags = flags
        if options.isa:
            beyond = [name for name in self.features if name.startswith(BEYOND_AVX2)]
            if beyond:
                sys.exit(f"bench_peers: {directory}: expected a llama.cpp for {options.isa}, found one with "
                         f"{', '.join(beyond)}; give another --venv, or none")

    def about(self):
        return (f"llama.cpp {self.commit} of llama-cpp-python {self.version}, compiled with {self.flags}: "
                f"{', '.join(self.features)}")

    def path(self, work, shape, kind):
        return os.path.join(work, f"{shape}-{kind}.gguf")

    def source(self, options, shape):
        return os.path.join(options.work, f"synth-{shape}", "params.json")


class OnnxRuntime(Peer):
    name, script, cache_bytes = "ONNX Runtime", "ort_peer.py", 4
    formats = ("ort_int4",)
    packages = ["torch==2.13.0", "transformers==5.24.0", "onnx", "onnx-ir", "onnxruntime-genai==0.18.0"]

    def __init__(self, options):
        directory = options.ort_venv or os.path.join(options.work, "venv-ort")
        super().__init__(directory)
        if not works(self.python, "import onnxruntime_genai, onnx_ir, torch, transformers"):
            make_venv(directory, self.packages)
        self.version = run(self.command("version")).strip()

    def about(self):
        return f"{self.version}, the wheel, which chooses its kernels at run time"

    def path(self, work, shape, kind):
        return os.path.join(work, f"{shape}-{kind}")

    def source(self, options, shape):
        path = os.path.join(options.work, f"synth-{shape}-hf")
        if not os.path.exists(path):
            run([options.diptych, "synth", "--shape", options.specification(shape), "--format", "hf", "-o", path])
        return path


ALL = {"llama.cpp": LlamaCpp, "ort": OnnxRuntime}


class Served:
    """A model in a process that keeps it loaded."""

    def __init__(self, command, name, cache_bytes, params):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        kv_heads = params.get("n_kv_heads") or params["n_heads"]
        self.position_bytes = 2 * cache_bytes * params["n_layers"] * kv_heads * params["dim"] // params["n_heads"]

    def measure(self, test, _threads):
        self.process.stdin.write(test + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench_peers: the process of {self.name} ended")
        row = json.loads(line)
        # All weights are read for a token; keys and values as they are halfway through the test.
        _, count, depth = parse_test(test)
        row["bytes_per_token"] = row.pop("weight_bytes") + (depth + (count - 1) / 2) * self.position_bytes
        row["peak_memory_bytes"] -= row.pop("peak_before_load")
        return row

    def close(self):
        self.process.stdin.close()
        self.process.wait()
