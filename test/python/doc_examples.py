"""The examples of a page of documentation: its blocks of code, each with the comment above it."""

import importlib.util
import re
import shutil
import subprocess
import sys

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
WITH_A_SERVER = "with a server"  # which the examples ask at port 8080
# How the text of a block is run; what is asked for on the way stands for itself.
COMMANDS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"],
            "js": ["node", "--input-type=module", "-e"]}  # fmt: skip


class Example:
    def __init__(self, page, match):
        self.page, self.language, self.text = page, match["language"], match["text"]
        self.mark = match["mark"] or ""
        self.line = page.read_text()[: match.start("text")].count("\n") + 1

    def missing(self):
        """What the block needs and this machine lacks."""
        if self.language == "python":
            names = re.findall(r"^(?:import|from) (\w+)", self.text, re.MULTILINE)
            return [name for name in names if importlib.util.find_spec(name) is None]
        programs = ["node"] if self.language == "js" else ["curl"] if "curl " in self.text else []
        return [program for program in programs if shutil.which(program) is None]

    def run(self, port=None, **options):
        """The process of the block's text, ended; with a server at `port` in place of 8080."""
        text = self.text if port is None else self.text.replace(":8080", f":{port}")
        return subprocess.run([*COMMANDS[self.language], text], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300, **options)  # fmt: skip

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def examples(page):
    return [Example(page, match) for match in BLOCK.finditer(page.read_text())]
