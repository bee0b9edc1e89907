"""Chat templates beside Jinja2 with the settings of transformers' apply_chat_template."""

import datetime
import functools
import json
import subprocess
import time
from pathlib import Path

from report import Row

NOW = datetime.datetime(2024, 7, 26)
TEMPLATES = Path(__file__).resolve().parent / "templates"


def environment():
    """Jinja2 as transformers sets it up."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("text"), [], [], body).set_lineno(line)

        def text(self, caller):
            return caller()

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


def theirs(compiled, template, variables):
    """The text, or None when the template or the rendering fails."""
    try:
        return compiled(template).render(**variables)
    except Exception as error:  # whatever it raises, ours must fail too
        print(f"jinja2: {type(error).__name__}: {error}")
        return None


def ours(context, requests):
    lines = "".join(json.dumps({"template": t, "variables": v}) + "\n" for t, v in requests)
    command = [str(context.build / "bin" / "conformance_templates")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-400:])
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compared(case, context, requests):
    """A row: texts equal, and failures where Jinja2 fails."""
    start = time.time()
    compiled = functools.cache(environment().from_string)
    wrong = []
    for (template, variables), answer in zip(requests, ours(context, requests), strict=True):
        wanted = theirs(compiled, template, variables)
        if answer.get("text") != wanted:
            wrong.append(f"{template!r:.300} with {json.dumps(variables)[:200]}: {answer!r:.500} instead of {wanted!r:.500}")
    for line in wrong[:200]:
        print(line)
    note = f"{len(wrong)} differ, e.g. {wrong[0][:200]}" if wrong else ""
    return Row(f"{case}: {len(requests)} renderings", not wrong, seconds=time.time() - start, note=note)


def weather_tool(name="get_weather"):
    parameters = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city, e.g. \"Zürich\" <or> 'Paris' & more"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": "integer", "minimum": 1, "maximum": 10},
            "precision": {"type": "number", "default": 0.5},
        },
        "required": ["city"],
    }
    return {"type": "function", "function": {"name": name, "description": "Current weather\nof a city", "parameters": parameters}}


def call(name, arguments, id="call12345"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def conversations():
    """Dozens of them: with and without system prompt, of several turns, with tools, thinking, odd text."""
    user = {"role": "user", "content": "Hello, who are you?"}
    system = {"role": "system", "content": "  You are helpful.\n"}
    answer = {"role": "assistant", "content": " I am a model. \n"}
    again = {"role": "user", "content": "And now?\n\nTell me: 1 < 2 & \"so on\" 'quoted' é 日本 👍"}
    thought = {"role": "assistant", "content": "<think>\nhm, let me see\n</think>\n\nThe answer is 4."}
    reasoned = {"role": "assistant", "content": "Four.", "reasoning_content": "\ntwo and two\n"}
    asked = {"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"city": "Zürich", "days": 3, "deep": {"a": [1, 2.5, None, True]}})]}
    asked_null = {**asked, "content": None}
    asked_text = {"role": "assistant", "content": "Looking.", "tool_calls": [call("get_weather", "{\"city\": \"Bern\"}", "abcdefghi")]}
    twice = {"role": "assistant", "tool_calls": [call("get_weather", {"city": "A"}), call("get_time", {}, "zzzzzzzzz")]}
    result = {"role": "tool", "content": "{\"temperature\": 21.5}", "name": "get_weather", "tool_call_id": "call12345"}
    result_object = {"role": "tool", "content": {"temperature": 21.5, "wind": None}, "tool_call_id": "call12345"}
    parts = {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image"}, {"type": "text", "text": " at it"}]}
    base = [
        [user],
        [system, user],
        [user, answer],
        [user, answer, again],
        [system, user, answer, again],
        [system, user, answer, again, answer, user],
        [user, thought, again],
        [system, user, thought, again, reasoned, user],
        [user, reasoned],
        [user, reasoned, again, thought],
        [user, asked, result],
        [system, user, asked, result, answer, again],
        [user, asked_null, result_object],
        [user, asked_text, result, answer],
        [user, twice, result, result, answer, again],
        [parts],
        [system, parts, answer],
        [answer, user],
        [user, user],
        [system],
        [system, system, user],
        [{"role": "ipython", "content": "42"}],
        [user, {"role": "function", "content": "x"}, answer],
        [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
        [{"role": "user", "content": "   "}, {"role": "assistant", "content": "\n\n"}],
        [{"role": "user", "content": "</s><|im_end|>{{ messages }}{% if %}"}],
        [{"role": "developer", "content": "be brief"}, user],
        [{"role": "user", "content": "x" * 5000}],
        [],
    ]
    for messages in base:
        for prompt in (False, True):
            variables = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                         "tools": None, "documents": None}
            yield variables
            if prompt:
                yield {**variables, "tools": [weather_tool(), weather_tool("get_time")]}
                yield {**variables, "tools": [weather_tool()], "tools_in_user_message": False, "date_string": "1 Jan 2025"}
                yield {**variables, "enable_thinking": False, "bos_token": "<|begin_of_text|>"}


def rows(context):
    try:
        import jinja2  # noqa: F401
    except ImportError:
        yield Row("templates: skipped, jinja2 is not installed", True)
        return
    for path in sorted(TEMPLATES.glob("*.jinja")):
        template = path.read_text()
        yield compared(path.stem, context, [(template, variables) for variables in conversations()])
    import template_snippets

    for name, requests in template_snippets.groups():
        yield compared(name, context, requests)
