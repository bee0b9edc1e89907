#!/usr/bin/env python3
"""Runs diptych on a folder of inputs that it was once found wrong on, and says which are right now.

    test/faults/run.py FOLDER DIPTYCH [NAME...]

A case is a folder with `cmd`, which runs in a copy of it with diptych on the PATH, and `expected`, for
people. RULES says what is right for each; a case without a rule of its own must keep to the general ones.
`m.pte`, `MODEL_DIR` and `BIG.pte` in a `cmd` are models made here. Exit status 1 when any case fails.
"""

import filecmp
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo")
LONGEST_LINE = 1000
SECONDS = 60  # of a whole case, on a busy machine
MIB = 512  # of any process of a case


class Run:
    """What a case's commands did, and more commands in the same place."""

    def __init__(self, source, directory, environment):
        self.source, self.directory, self.environment = source, directory, environment
        self.command = ""

    def run(self, command):
        self.command = command
        out, err = (tempfile.TemporaryFile() for _ in range(2))
        start = time.monotonic()
        shell = subprocess.Popen(
            ["bash", "-c", command], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=out, stderr=err, start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        # Once the shell is gone whatever it left behind is ended too.
        self.timed_out = False
        while True:
            pid, status, usage = os.wait4(shell.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - start > SECONDS:
                self.timed_out = True
                os.killpg(shell.pid, signal.SIGKILL)
            time.sleep(0.01)
        shell.returncode = 0
        self.status = os.waitstatus_to_exitcode(status)
        self.seconds, self.mib = time.monotonic() - start, usage.ru_maxrss / 1024
        out.seek(0), err.seek(0)
        self.out, self.err = out.read(), err.read()
        return self

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "replace")

    @property
    def messages(self):
        """The lines in which diptych says why it failed; it may have warned before."""
        lines = self.errors.splitlines()
        return [line for line in lines if line.startswith("diptych") and ": warning: " not in line]

    @property
    def statuses(self):
        """What `echo $?` printed."""
        return [int(line) for line in self.text.splitlines() if re.fullmatch(r"\d{1,3}", line)]

    def path(self, name):
        return os.path.join(self.directory, name)

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def mode(self, name):
        return os.stat(self.path(name)).st_mode & 0o777


# Checks: each gives "" or what is wrong.


def general(run):
    """What holds for every command line."""
    if run.timed_out:
        return f"took more than {SECONDS} s"
    if run.mib > MIB:
        return f"took {run.mib:.0f} MiB"
    if run.status < 0 or run.status >= 128:
        return f"ended by a signal (status {run.status})"
    for line in run.err.split(b"\n"):
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", line):
            return f"control characters: {line[:200]!r}"
        if len(line) > LONGEST_LINE:
            return f"a line of {len(line)} bytes: {line[:80]!r}"
        if re.search(rb"std::|terminate called|AddressSanitizer|runtime error:", line):
            return line[:200].decode("utf-8", "replace")
    return ""


def succeeds(run):
    return "" if run.status == 0 else f"status {run.status}: {run.errors.strip()[-300:]}"


def fails(run):
    """With one line that says why."""
    if run.status not in (1, 2):
        return f"status {run.status}, expected 1 or 2"
    if len(run.messages) != 1:
        return f"expected one line that says why, found {len(run.messages)}"
    return ""


def says(pattern):
    def check(run):
        found = re.search(pattern, run.errors, re.IGNORECASE)
        return "" if found else f"stderr does not match {pattern!r}: {run.errors.strip()[-300:]}"

    return check


def unchanged(run):
    """All files of the case are as they were."""
    for root, _, names in os.walk(run.source):
        for name in names:
            before = os.path.join(root, name)
            after = run.path(os.path.relpath(before, run.source))
            if not os.path.exists(after):
                return f"{name} is gone"
            if not filecmp.cmp(before, after, shallow=False):
                return f"{name} was changed"
    return ""


def all_of(*checks):
    return lambda run: next((wrong for wrong in (check(run) for check in checks) if wrong), "")


def any_of(*checks):
    def check(run):
        wrongs = [one(run) for one in checks]
        return "" if "" in wrongs else " / ".join(wrongs)

    return check


def within(seconds):
    return lambda run: "" if run.seconds <= seconds else f"took {run.seconds:.1f} s"


def echoes(*allowed):
    """Each `echo $?` printed one of these."""

    def check(run):
        wrong = [status for status in run.statuses if status not in allowed]
        if not run.statuses:
            return "printed no status"
        return f"statuses {run.statuses}, allowed {allowed}: {run.errors.strip()[-200:]}" if wrong else ""

    return check


def ids(*allowed):
    """The printed ids are, or begin with, one of these lists."""

    def check(run):
        if run.status != 0:
            return succeeds(run)
        line = run.text.strip().splitlines()[-1]
        found = json.loads(line)["ids"] if line.startswith("{") else [int(id) for id in line.split(",")]
        return "" if any(found[: len(want)] == want for want in allowed) else f"ids {found}"

    return check


def tokenizes(run):
    return succeeds(run) or ("" if json.loads(run.text)["ids"] else "no ids")


def likeliest(*wanted):
    """The likeliest next tokens of `run --json --logprobs`, with their log probabilities."""

    def check(run):
        if run.status != 0:
            return succeeds(run)
        top = json.loads(run.text.strip().splitlines()[-1])["tokens"][0]["top"][: len(wanted)]
        found = [(token["id"], token["logprob"]) for token in top]
        same = all(a == c and abs(b - d) < 0.005 for (a, b), (c, d) in zip(found, wanted))
        return "" if same else f"likeliest {[(id, round(value, 4)) for id, value in found]}"

    return check


def only_holds(*patterns):
    """Nothing else lies in the directory: no temporary file, in it or in what it was asked to make."""

    def check(run):
        for name in sorted(os.listdir(run.directory)):
            if not any(re.fullmatch(pattern, name) for pattern in patterns + ("cmd", "expected")):
                return f"left behind: {name}"
        return ""

    return check


def whole(name):
    """The output is absent or complete."""

    def check(run):
        if not run.exists(name):
            return ""
        return "" if run.run(f"diptych inspect {name}").status == 0 else f"{name} is no whole file"

    return check


def prints(pattern):
    return lambda run: "" if re.search(pattern, run.text) else f"stdout does not match {pattern!r}"


# Checks of single cases.


def little_memory(run):
    """Under every limit an answer, or one line."""
    first = echoes(0, 1)(run)
    if first:
        return first
    for kib in range(40000, 160000, 10000):
        run.run(f"ulimit -v {kib}; diptych run m.pte -p hi -n 2")
        wrong = general(run) or ("" if run.status == 0 else fails(run) or says("memory")(run))
        # Below some limit the dynamic linker speaks for the program.
        if wrong and run.status != 127:
            return f"with {kib} KiB: {wrong}"
    return ""


def precious(run):
    path = run.path("home/precious/thesis.txt")
    if not os.path.exists(path):
        return "thesis.txt is gone"
    with open(path) as file:
        return "" if file.read() == "data\n" else "thesis.txt was changed"


def no_commands_from_a_pipe(run):
    return "/save wrote a file" if run.exists("anything") else ""


def modes_and_links(run):
    run.run("umask 077; printf 'secret\\n/save tr.json\\n' | diptych chat m.pte -n 1 --commands")
    if not run.exists("tr.json"):
        return "/save of chat --commands wrote nothing: " + run.errors.strip()[-200:]
    if run.mode("tr.json") != 0o600:
        return f"transcript has mode {run.mode('tr.json'):o}"
    if run.mode("p.pte") != 0o600:
        return f"p.pte had mode 600, now {run.mode('p.pte'):o}"
    if not os.path.islink(run.path("link.pte")) or not run.exists("real.pte"):
        return "the link was replaced, not followed"
    return ""


def silent_signals(run):
    """The same for SIGHUP and SIGINT."""
    for name in ("HUP", "INT"):
        run.run("rm -rf o m2; mkdir o; timeout -s " + name +
                " 0.5 diptych export m -o o/x.pte --multifunction --quant_algorithm mse; true")
        left = [entry for entry in os.listdir(run.path("o")) if entry != "x.pte"]
        if left:
            return f"SIG{name} leaves {left}"
    return ""


def nothing_in_o(run):
    left = [entry for entry in os.listdir(run.path("o")) if entry != "x.pte"]
    return f"left behind: {left}" if left else silent_signals(run)


def no_escapes(run):
    for output in (run.text, run.run(
            "printf '/load tr.json\\n' | diptych chat m.pte --commands 2>&1 | cat -v").text):
        for line in output.splitlines():
            if re.search(r"\^\[\]0;PWN|\^\[\[31mX|^fake", line):
                return f"reaches the terminal raw: {line[:120]}"
    return ""


# A message or warning of what would silently be lost. A warning has a line of its own.
NOT_FINITE = r"nan|not (a )?finite|infinit|fp16|overflow|range"
LOUD = any_of(all_of(fails, says(NOT_FINITE)), all_of(succeeds, says(r"warning.*(" + NOT_FINITE + ")")))
REFUSED_UNCHANGED = all_of(fails, unchanged)
QUICK = all_of(echoes(0, 1, 2), within(8))
TEMPLATE = all_of(echoes(0, 1, 2), within(5))
IM_START = [1, 421, 365, 275, 359, 13, 362, 356, 420]


def once_each(run):
    found = json.loads(run.text.strip().splitlines()[-1])["ids"] if run.status == 0 else []
    return "" if found.count(421) == found.count(420) == 1 else f"ids {found}"


RULES = {
    "added_token_empty": tokenizes,
    "added_token_twice_same": tokenizes,
    "all_tokens_banned": all_of(fails, says("token")),
    "bad-alloc-in-worker": little_memory,
    "base_model_names": any_of(succeeds, all_of(fails, says(r"model\."))),
    "bf16_beyond_fp16": LOUD,
    "broken_template": any_of(all_of(fails, says("template")),
                              all_of(succeeds, says("warning.*template"))),
    "chat-commands-from-pipe": no_commands_from_a_pipe,
    "extract-deletes": all_of(precious, says("^diptych extract: ")),
    "fifo-input-hangs": all_of(echoes(1), within(8)),
    "generation_config_top_k_minus1": all_of(succeeds, says("top_k")),
    "gguf_bpe_without_merges": all_of(fails, says("merges")),
    "gguf_pre_deepseek_r1_qwen": ids([42, 71, 78, 319]),
    "gguf_rope_scale_linear": likeliest((34, -1.230), (72, -2.165), (16, -3.112)),
    "gguf_spm_user_defined_first": ids([1, 421, 341, 275, 359], [1, 421, 365, 275, 359]),
    "json_added_tokens_decoder": ids([500, 74, 75]),
    "merge_twice": tokenizes,
    "mil-operation-type-unescaped": within(8),
    "nan_in_norm": LOUD,
    "output-mode-and-umask": modes_and_links,
    "output_is_input_gguf": REFUSED_UNCHANGED,
    "output_is_input_safetensors": REFUSED_UNCHANGED,
    "output_is_tokenizer": REFUSED_UNCHANGED,
    "pth-reduce-amplify": all_of(fails, within(8)),
    "regex-total-unbounded": QUICK,
    "report_onto_input": REFUSED_UNCHANGED,
    "rope_linear_no_factor": all_of(fails, says("factor")),
    "rope_parameters_and_scaling": any_of(
        all_of(fails, says("rope")), likeliest((84, -2.8043), (38, -2.8377), (80, -3.0875))),
    "safetensors-long-message": within(8),
    "seed_overflow": all_of(fails, says("seed")),
    "sigterm-litter": all_of(only_holds("MODEL_DIR", r"BIG\.pte", r"o\.pte", "ex"), echoes(1),
                             whole("o.pte")),
    "sigterm_leaves_temporary": nothing_in_o,
    "special_tokens_map_bos": all_of(succeeds, prints(r"get_bos_id\s+int\s+1\b")),
    "spm_added_tokens_decoder": any_of(ids(IM_START), once_each),
    "spm_added_tokens_json": any_of(ids(IM_START), once_each),
    "stale_index": any_of(succeeds, all_of(fails, says("stale|model.safetensors is whole"))),
    "synth_onto_model": REFUSED_UNCHANGED,
    "template-compare-large-lists": TEMPLATE,
    "template-is-upper": TEMPLATE,
    "template-one-line-quadratic-lexer": TEMPLATE,
    "template-output-tokenised-14GB": all_of(echoes(1), within(5)),
    "template_dict": succeeds,
    "terminal-escapes-in-errors": no_escapes,
    "tokenizer-replace-doubling": all_of(fails, within(5)),
    "tokenizer_one_id_over": succeeds,
    "vocab_does_not_split": succeeds,
}

# Cases that interrupt an export need a model whose export takes a while.
LARGE = {"sigterm-litter"}


class Models:
    """The models that commands name, made when they are first asked for."""

    def __init__(self, diptych, directory):
        self.diptych, self.directory = diptych, directory
        self.made = {}

    def run(self, *words):
        subprocess.run([self.diptych, *words], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def make(self, name, large):
        path = os.path.join(self.directory, ("large-" if large else "") + name)
        if path in self.made:
            return path
        self.made[path] = True
        if name == "m.pte":
            self.run("export", "-c", DEMO + "/model.pth", "-p", DEMO + "/params.json", "-o", path,
                     "--max_context_len", "256", "--input_len", "32")
            template = path + ".jinja"
            with open(template, "w") as file:
                file.write("{% for message in messages %}{{ message.content }}\n{% endfor %}")
            self.run("metadata", "set", path, "--chat_template", template)
        elif name == "MODEL_DIR":
            shape = ("dim=512,layers=8,heads=8,kv_heads=4,hidden=1536,vocab=32000"
                     if large else "dim=64,layers=2,heads=4,hidden=64,vocab=512")
            self.run("synth", "--shape", shape, "--format", "hf", "-o", path)
        else:
            self.run("export", self.make("MODEL_DIR", large), "-o", path, "--linear_quantize", "none")
        return path

    def put(self, command, directory, large):
        """Copies the models that a command names, unless the case brings its own."""
        for name in ("m.pte", "MODEL_DIR", "BIG.pte"):
            to = os.path.join(directory, name)
            if not re.search(rf"(?<![\w.]){re.escape(name)}", command) or os.path.exists(to):
                continue
            source = self.make(name, large or name == "BIG.pte")
            (shutil.copytree if os.path.isdir(source) else shutil.copyfile)(source, to)


def judge(name, folder, scratch, models, environment):
    source, directory = os.path.join(folder, name), os.path.join(scratch, name)
    shutil.copytree(source, directory, symlinks=True)
    with open(os.path.join(source, "cmd")) as file:
        command = file.read()
    models.put(command, directory, name in LARGE)
    try:
        run = Run(source, directory, environment).run(command)
        return general(run) or RULES.get(name, lambda _: "")(run)
    except (KeyError, IndexError, ValueError) as error:
        return f"the output is not of the expected form: {error!r}"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, diptych = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    names = sys.argv[3:] or sorted(
        name for name in os.listdir(folder) if os.path.exists(os.path.join(folder, name, "cmd")))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="diptych-faults-") as scratch:
        tools = os.path.join(scratch, "bin")
        os.makedirs(tools)
        os.symlink(diptych, os.path.join(tools, "diptych"))
        environment = dict(os.environ, LC_ALL="C", PATH=f"{tools}:{os.environ['PATH']}")
        models = Models(diptych, os.path.join(scratch, "models"))
        os.makedirs(models.directory)
        for name in names:
            wrong = judge(name, folder, scratch, models, environment)
            failed += bool(wrong)
            note = "" if name in RULES else " (general rules)"
            shown = re.sub(r"[\x00-\x1f\x7f]+", " ", wrong)[:300]
            print(f"{name:<34}{shown or 'ok'}{note}", flush=True)
    print(f"{len(names) - failed} of {len(names)} right")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
