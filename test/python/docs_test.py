"""Every example of the documentation runs: each block of shell, Python or JavaScript of the pages below, in order, in a folder
where stand-ins for the files that they name have been made of the bundled model.

A comment above a block says what is special: `<!-- not run: why -->`, `<!-- run by FILE -->`, a test that does what the
block does, or `<!-- with a server -->`, for which one is there at port 8080. `diptych serve` in a block ends when it
listens. Blocks of TOML are plans: they are written to plan.toml.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from doc_examples import COMMANDS, WITH_A_SERVER, examples
from sweeping import DEMO, ROOT

DIPTYCH = os.environ["DIPTYCH_EXECUTABLE"]

PAGES = [ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]

# In place of the program: a server ends when it listens, and is told a port of its own.
WRAPPER = """#!/bin/bash
[ "$1" = serve ] || exec "{program}" "$@"
exec {python} "{here}" serve "{program}" "$@"
"""
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def listening(command, port):
    """A server that listens, and the end of what it said."""
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "listening on" in line:
            return process, line
    return process, ""


def serve(command):
    """What the wrapper does: the server is well, if it listens and ends as it is told."""
    if "--port" in command:
        at = command.index("--port")
        command = command[:at] + command[at + 2 :]
    process, line = listening(command, 0)
    process.terminate()
    return 0 if process.wait(30) == 0 and line else 1


def diptych(*arguments):
    subprocess.run([DIPTYCH, *map(str, arguments)], check=True, capture_output=True, text=True)


def checkpoint(directory):
    """The bundled model as a folder with tokenizer and chat template."""
    directory.mkdir()
    for name in ("params.json", "tokenizer.model"):
        shutil.copy(DEMO / name, directory)
    shutil.copy(DEMO / "model.pth", directory / "consolidated.00.pth")
    (directory / "chat_template.jinja").write_text(TEMPLATE)


def stand_ins(directory):
    """What the pages' examples name."""
    for name in ("model", "Llama-3.2-1B-Instruct"):
        checkpoint(directory / name)
    (directory / "demo").symlink_to(DEMO)
    (directory / "held_out.txt").write_text((DEMO / "held_out.txt").read_text()[:4000])
    diptych("export", directory / "model", "--max-context-len", 512, "--no-check", "-o", directory / "model.pte")
    diptych("extract", directory / "model.pte", "-o", directory / "extracted")
    package = next((directory / "extracted").rglob("*.mlpackage"))
    package.rename(directory / "model.mlpackage")
    for name in ("llama", "large", "small", "a", "b", "good", "ours", "upstreams", "last", "plain", "draft"):
        shutil.copy(directory / "model.pte", directory / f"{name}.pte")
    answer = subprocess.run(
        [DIPTYCH, "run", "model.pte", "-p", "Once upon a time", "-n", "20", "--temperature", "0"],
        cwd=directory, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (directory / "expected.txt").write_text(answer)
    shutil.copy(DEMO / "tokenizer.model", directory)
    (directory / "template.jinja").write_text(TEMPLATE)
    (directory / "person.json").write_text(
        '{"type": "object", "properties": {"age": {"type": "integer", "maximum": 99}}}'
    )
    (directory / "yes_or_no.gbnf").write_text('root ::= "yes" | "no"\n')
    (directory / "messages.txt").write_text("Hello\n")
    (directory / "keys.txt").write_text("a-key\n")


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        kept = tempfile.TemporaryDirectory()
        cls.addClassCleanup(kept.cleanup)
        cls.directory = Path(kept.name) / "work"
        cls.directory.mkdir()
        stand_ins(cls.directory)
        programs = Path(kept.name) / "bin"
        programs.mkdir()
        (programs / "diptych").write_text(WRAPPER.format(program=DIPTYCH, python=sys.executable, here=__file__))
        (programs / "diptych-sweep").write_text(f'#!/bin/sh\nexec {sys.executable} -m diptych.sweep "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        cls.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run_example(self, example):
        if example.language == "toml":
            (self.directory / "plan.toml").write_text(example.text)
            return
        port = None
        with contextlib.ExitStack() as stack:
            if example.mark == WITH_A_SERVER:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                server, line = listening([DIPTYCH, "serve", str(self.directory / "llama.pte")], port)
                stack.callback(server.wait)
                stack.callback(server.terminate)
                self.assertIn(str(port), line)
            done = example.run(port, cwd=self.directory, env=self.environment)
        self.assertEqual(done.returncode, 0, f"{example}:\n{example.text}\n{done.stderr[-2000:]}")

    def run_page(self, page):
        for example in examples(page):
            if example.language not in (*COMMANDS, "toml") or example.mark.startswith("not run: "):
                continue
            if example.mark.startswith("run by "):
                self.assertTrue((ROOT / example.mark.removeprefix("run by ")).exists(), example)
                continue
            missing = example.missing()
            if missing:
                print(f"{example}: skipped: no {', '.join(missing)}", file=sys.stderr)
                continue
            with self.subTest(str(example)):
                self.run_example(example)


for _page in PAGES:
    setattr(Docs, f"test_{_page.stem}", lambda self, page=_page: self.run_page(page))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        sys.exit(serve(sys.argv[2:]))
    unittest.main()
