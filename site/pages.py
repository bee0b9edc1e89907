"""Pages of the site that are made, not written: a hook of MkDocs.

Commands from their --help, the C library from its header, the Python package from its docstrings. $DIPTYCH is the
program.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent


# --- Commands ---


def help_of(*command):
    program = os.environ.get("DIPTYCH", str(ROOT / "build" / "release" / "bin" / "diptych"))
    return subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    """Names and summaries, in the program's order."""
    listed = help_of().partition("\nSubcommands:\n")[2]
    return re.findall(r"^  ([a-z]+)  +(.*)$", listed, re.MULTILINE)


def command_page(name, summary):
    text, _, examples = help_of(name).partition("\nExamples:\n")
    usage = re.sub(r"^.*\n\n?", "", text, count=1)  # the first line is the summary
    page = f"# diptych {name}\n\n{summary}.\n\n```text\n{usage.strip()}\n```\n"
    if examples.strip():
        page += f"\n## Examples\n\n```sh\n{inspect.cleandoc(examples)}\n```\n"
    return page


# --- The C library ---


def prose(comment):
    """A comment's paragraphs; what is indented in it is code."""
    text = re.sub(r"^/\* ?|\s*\*/$", "", comment.strip())
    text = re.sub(r"^ ?\* ?", "", text, flags=re.MULTILINE)
    return re.sub(r"^  (\S)", r"    \1", text, flags=re.MULTILINE)


def c_page(header):
    about, rest = re.match(r"(/\*.*?\*/)\n(.*)", header, re.DOTALL).groups()
    page = f"# The C library\n\n`#include <diptych/diptych.h>`, `-ldiptych`\n\n{prose(about)}\n"
    for title, section in re.findall(
        r"/\* --- (.*?) --- \*/\n(.*?)(?=/\* --- |#ifdef __cplusplus\n\}|\Z)", rest, re.DOTALL
    ):
        page += f"\n## {title}\n"
        # A comment at the beginning of a line is of the declarations behind it, up to an empty line or another comment.
        for comment, code in re.findall(r"^(/\*.*?\*/\n)?((?:[^\n/][^\n]*\n)+)", section, re.DOTALL | re.MULTILINE):
            declaration = code.replace("DIPTYCH_API ", "").strip()
            if not declaration.startswith("#"):
                page += f"\n{prose(comment)}\n" if comment else ""
                page += f"\n```c\n{declaration}\n```\n"
    return page


# --- The Python package ---


def python_page():
    sys.path.insert(0, str(ROOT / "python"))
    import diptych

    page = f"# The Python package\n\n{code_blocks(inspect.getdoc(diptych))}\n"
    for name in diptych.__all__:
        thing = getattr(diptych, name)
        page += f"\n## diptych.{name}\n\n```python\n{name}{signature(thing)}\n```\n\n{code_blocks(inspect.getdoc(thing) or '')}\n"
        if inspect.isclass(thing):
            for member, function in vars(thing).items():
                if not member.startswith("_") and callable(function):
                    page += f"\n### {name}.{member}\n\n```python\n{member}{signature(function)}\n```\n\n"
                    page += f"{code_blocks(inspect.getdoc(function) or '')}\n"
    return page


def signature(thing):
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""


def code_blocks(text):
    return re.sub(
        r"(?:^    .*\n?)+", lambda block: f"```python\n{inspect.cleandoc(block[0])}\n```\n", text, flags=re.MULTILINE
    )


# --- The hook ---


def on_config(config):
    entries = [{name: f"reference/commands/{name}.md"} for name, _ in commands()]
    for section in config.nav:
        for item in section.get("Reference", []):
            if "Commands" in item:
                item["Commands"] = entries
    return config


def on_files(files, config):
    pages = {f"reference/commands/{name}.md": command_page(name, summary) for name, summary in commands()}
    pages["reference/c.md"] = c_page((ROOT / "include" / "diptych" / "diptych.h").read_text())
    pages["reference/python.md"] = python_page()
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files
