"""`diptych serve` beside clients of others: the official openai package, lm-eval's local-completions,
jsonschema, raw sockets, what docs/guide/serve.md shows (curl, Python, JavaScript), and for the page Chromium by its driver. The model is the bundled one with a chat template of
the test's own; what matters is the interface, and that answers are those of `diptych run`."""

import concurrent.futures
import importlib.util
import json
import math
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from browser import browser, check_console, check_outline, check_phone, check_requests
from context import ROOT, run
from report import Row

sys.path.append(str(ROOT / "test" / "python"))
import doc_examples  # noqa: E402

TEMPLATE = """{{ bos_token }}{% if tools %}<tool_call> {{ tools | tojson }}
{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}Once upon a time{% endif %}"""
CONTEXT = 512


def said(process, log, words, seconds=30):
    """What follows `words` in the log of a process that has just been started, once it is there."""
    end = time.time() + seconds
    while True:
        ended = process.poll() is not None
        found = [line for line in log.read_text().splitlines() if words in line]
        if found:
            return found[0].partition(words)[2].split()[0]
        if ended or time.time() > end:
            raise RuntimeError(f"{log.stem}: " + log.read_text()[-400:])
        time.sleep(0.05)


class Server:
    """A server on a free port, as a context."""

    def __init__(self, context, model, *options):
        self.log = context.work / "serve.log"
        self.command = [str(context.diptych), "serve", str(model), "--port", "0", *options]

    def __enter__(self):
        self.out = open(self.log, "w")
        self.process = subprocess.Popen(self.command, stderr=self.out)
        self.url = said(self.process, self.log, "listening on")
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = "killed"
        self.out.close()

    def request(self, path, body=None, headers=None):
        """Status and JSON (or text)."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def busy(self):
        return sum(slot["is_processing"] for slot in self.request("/slots")[1])


def model(context):
    context.work.mkdir(parents=True, exist_ok=True)
    template, plain, chat = (context.work / name for name in ("serve.jinja", "serve_plain.pte", "serve.pte"))
    template.write_text(TEMPLATE)
    run([context.diptych, "export", "-c", ROOT / "demo" / "model.pth", "-p", ROOT / "demo" / "params.json", "-o", plain,
         "--max_context_len", CONTEXT, "--input_len", 32, "--multifunction"])  # fmt: skip
    chat.unlink(missing_ok=True)
    run([context.diptych, "metadata", "set", plain, "--chat-template", template, "-o", chat])
    return chat


def check(case, test, *arguments):
    """A row: `test` raises where the case does not hold, and may return a note."""
    start = time.time()
    try:
        note = test(*arguments) or ""
        return Row(case, True, seconds=time.time() - start, note=note)
    except Exception as error:  # whatever a client of others raises
        return Row(case, False, seconds=time.time() - start, note=f"{type(error).__name__}: {str(error)[:300]}")


# --- The openai package ---


def user(text):
    return [{"role": "user", "content": text}]


def chats(client, name):
    wanted = client.chat.completions.create(model=name, messages=user("Hello"), max_tokens=20, temperature=0)
    text, finish, usage = "", None, None
    for chunk in client.chat.completions.create(model=name, messages=user("Hello"), max_tokens=20, temperature=0, stream=True,
                                                stream_options={"include_usage": True}):  # fmt: skip
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert text == wanted.choices[0].message.content, "the stream's text is another"
    assert finish == wanted.choices[0].finish_reason
    assert usage.completion_tokens == wanted.usage.completion_tokens
    several = client.chat.completions.create(model=name, messages=user("Hello"), max_completion_tokens=5, n=3, seed=4,
                                             temperature=1)  # fmt: skip
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    parts = client.responses.create(model=name, input="Hello", max_output_tokens=20, temperature=0)
    assert parts.output_text == text, "/v1/responses says something else"
    streamed = list(client.responses.create(model=name, input="Hello", max_output_tokens=5, stream=True))
    assert [event.sequence_number for event in streamed] == list(range(len(streamed))), "events are out of order"
    events = [event.type for event in streamed]
    assert events[0] == "response.created" and events[-1] in ("response.completed", "response.incomplete"), events


def like_run(context, path, client, name):
    """Sixteen at once, each with a seed of its own."""

    def one(seed):
        prompt = ["Once upon a time", "One day", "Lily and Tom"][seed % 3]
        settings = {"temperature": 0.9 if seed % 2 else 0, "top_p": 0.9, "frequency_penalty": 0.3}
        got = client.completions.create(model=name, prompt=prompt, max_tokens=40 + seed, seed=seed, **settings)
        command = [context.diptych, "run", path, "-p", prompt, "-n", 40 + seed, "--seed", seed, "--json", "--stats", "none"]
        for key, value in settings.items():
            command += ["--" + key, value]
        return got.choices[0].text, json.loads(run(command))["text"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for seed, (got, wanted) in enumerate(pool.map(one, range(16))):
            assert got == wanted, f"seed {seed}: {got[:60]!r}, run says {wanted[:60]!r}"


def log_probabilities(client, name):
    answer = client.chat.completions.create(model=name, messages=user("Hello"), max_tokens=6, temperature=0, logprobs=True,
                                            top_logprobs=3)  # fmt: skip
    content = answer.choices[0].logprobs.content
    assert len(content) == 6
    for token in content:
        assert token.logprob == token.top_logprobs[0].logprob and len(token.top_logprobs) == 3
    text = b"".join(bytes(token.bytes) for token in content).decode()
    assert text == answer.choices[0].message.content
    banned = {str(client_token): -100 for client_token in range(3, 300)}
    client.completions.create(model=name, prompt="a", max_tokens=3, logit_bias=banned)
    stopped = client.completions.create(model=name, prompt="Once upon a time", max_tokens=60, stop=[".", "!"], temperature=0)
    assert stopped.choices[0].finish_reason == "stop" and "." not in stopped.choices[0].text


def errors(openai, client, server, name):
    def fails(kind, param, **arguments):
        try:
            client.chat.completions.create(**{"model": name, "messages": user("x"), **arguments})
        except kind as error:
            assert error.body["param"] == param, (error.body, param)
        else:
            raise AssertionError(f"{arguments} are taken")

    fails(openai.BadRequestError, "temperature", temperature=3)
    fails(openai.BadRequestError, "nonsense", extra_body={"nonsense": 1})
    fails(openai.BadRequestError, "messages[0].content", messages=[{"role": "user", "content": 5}])
    fails(openai.BadRequestError, "messages", messages=user("word " * 3000))
    fails(openai.BadRequestError, "tools[0].function.name", tools=[{"type": "function", "function": {"name": "a b"}}])
    fails(openai.BadRequestError, "response_format.json_schema.schema", response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "uniqueItems": True}}})  # fmt: skip
    fails(openai.NotFoundError, "model", model="another")
    for body in (b"{", b'{"messages": "\xff"}', b"[]", b"[" * 10000, b'{"a": 1, "a": 2}'):
        assert server.request("/v1/chat/completions", body)[0] == 400, body[:20]


def cancellation(client, server, name):
    stream = client.completions.create(model=name, prompt="One", max_tokens=450, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    for _ in range(100):
        if server.busy() == 0:
            return
        time.sleep(0.02)
    raise AssertionError("a slot works on for a client that left")


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"], "additionalProperties": False}}}  # fmt: skip


def tools(client, name):
    for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
        for stream in (False, True):
            arguments = dict(model=name, messages=user("Weather?"), tools=[TOOL], tool_choice=choice, max_tokens=200, temperature=1)
            if stream:
                calls, reason = [], None
                for chunk in client.chat.completions.create(**arguments, stream=True):
                    calls += chunk.choices[0].delta.tool_calls or []
                    reason = chunk.choices[0].finish_reason or reason
            else:
                answer = client.chat.completions.create(**arguments).choices[0]
                calls, reason = answer.message.tool_calls, answer.finish_reason
            assert reason == "tool_calls" and len(calls) == 1, (reason, calls)
            assert calls[0].function.name == "weather"
            given = json.loads(calls[0].function.arguments)
            assert given["city"] in ("Oslo", "Rome") and 1 <= given["days"] <= 9
    history = user("Weather?") + [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo", "days": 1}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": "Rain."}]  # fmt: skip
    client.chat.completions.create(model=name, messages=history, tools=[TOOL], tool_choice="none", max_tokens=5)


# --- Schemas ---


def random_schema(rng, depth=0):
    def string():
        return rng.choice([{"type": "string", "maxLength": rng.randint(1, 8)}, {"type": "string", "minLength": 1, "maxLength": 4},
                           {"type": "string", "pattern": "^[A-Z][a-z]{1,5}(-\\d+)?$"},
                           {"type": "string", "format": rng.choice(["date", "uuid", "ipv4", "time"])},
                           {"enum": ["a", "b c", "\u00e9\"\\"]}])  # fmt: skip

    def number():
        low = rng.randint(-200, 200)
        return rng.choice([{"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 300)}, {"type": "number"},
                           {"type": "number", "minimum": low, "exclusiveMaximum": low + 3}, {"const": low},
                           {"type": "integer", "exclusiveMinimum": low}])  # fmt: skip

    def leaf():
        return rng.choice([string, number, lambda: {"type": rng.choice(["boolean", "null"])},
                           lambda: {"type": ["integer", "null"]}])()  # fmt: skip

    def array():
        least = rng.randint(0, 2)
        schema = {"type": "array", "items": random_schema(rng, depth + 1), "minItems": least, "maxItems": least + rng.randint(0, 2)}
        if rng.random() < 0.3:
            schema["prefixItems"] = [leaf() for _ in range(rng.randint(1, 3))]
        return schema

    def object_():
        names = [rng.choice("abcdefgh") * rng.randint(1, 3) for _ in range(rng.randint(1, 5))]
        schema = {"type": "object", "properties": {name: random_schema(rng, depth + 1) for name in names}}
        schema["required"] = rng.sample(sorted(set(names)), rng.randint(0, len(set(names))))
        extra = rng.choice([None, False, {"type": "integer"}])
        if extra is not None:
            schema["additionalProperties"] = extra
        return schema

    def union():
        return {"anyOf": [random_schema(rng, depth + 1) for _ in range(2)]}

    return leaf() if depth > 2 else rng.choice([leaf, array, object_, object_, union])()


def schemas(client, name, count):
    import jsonschema

    rng, cut = random.Random(11), 0

    def one(number):
        schema = random_schema(random.Random(number))
        answer = client.chat.completions.create(
            model=name, messages=user("JSON, please"), max_tokens=300, temperature=1.5, seed=number,
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})  # fmt: skip
        return schema, answer.choices[0]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for schema, choice in pool.map(one, [rng.randrange(10**9) for _ in range(count)]):
            if choice.finish_reason == "length":
                cut += 1
                continue
            try:
                jsonschema.validate(json.loads(choice.message.content), schema)
            except Exception as error:
                raise AssertionError(f"{schema}: {choice.message.content!r}: {str(error)[:100]}") from None
    assert cut < count / 2, f"{cut} of {count} were cut short"
    answer = client.chat.completions.create(model=name, messages=user("x"), max_tokens=300, temperature=1,
                                            response_format={"type": "json_object"})  # fmt: skip
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    return f"{count} schemas, {cut} answers cut short"


# --- lm-eval ---


def log_likelihood(context, path, ids):
    """Of ids behind the first, by `diptych eval`."""
    file = context.work / "serve_ids.txt"
    file.write_text(",".join(map(str, ids)))
    report = json.loads(run([context.diptych, "eval", path, "--ids", file, "--json"]))
    return -math.log(report["perplexity"]) * (len(ids) - 1)


def like_eval(context, path, server):
    _, tokens = server.request("/tokenize", {"content": "Once upon a time there was a little girl named Lily.", "add_special": True})
    ids = tokens["tokens"]
    status, answer = server.request("/v1/completions", {"prompt": ids, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0})
    assert status == 200, answer
    told = answer["choices"][0]["logprobs"]["token_logprobs"]
    assert told[0] is None and len(told) == len(ids) + 1
    got, wanted = sum(told[1 : len(ids)]), log_likelihood(context, path, ids)
    assert abs(got - wanted) < 1e-3 * max(1, abs(wanted)), (got, wanted)
    return f"{got:.4f}, eval {wanted:.4f}"


def scored_pairs(context, path, server, name):
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    class Api(LocalCompletionsAPI):
        """Texts become tokens by the server's own tokenizer, so that no other one is needed."""

        def tok_encode(self, string, *_, **__):
            return server.request("/tokenize", {"content": string, "add_special": True})[1]["tokens"]

        eot_token_id = prefix_token_id = property(lambda self: 1)

    lm = Api(model=name, base_url=server.url + "/v1/completions", tokenizer_backend=None, tokenized_requests=False, num_concurrent=1,
             max_length=CONTEXT, batch_size=1)  # fmt: skip
    lm.tokenized_requests, lm.tokenizer = True, "the server's"
    pairs = [("Once upon a", " time"), ("Once upon a", " zebra"), ("Lily was a little", " girl who liked to play"), ("The cat", " sat.")]
    instances = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    for (context_text, continuation), (got, _) in zip(pairs, lm.loglikelihood(instances)):
        whole, begin = lm.tok_encode(context_text + continuation), lm.tok_encode(context_text)
        wanted = log_likelihood(context, path, whole) - (log_likelihood(context, path, begin) if len(begin) > 1 else 0)
        assert abs(got - wanted) < 2e-3 * max(1, abs(wanted)), (context_text + continuation, got, wanted)


# --- Hostile clients ---


def fuzzed(server, count):
    rng = random.Random(3)
    values = [None, True, -1, 0, 1e308, 10**30, "", "x", "\u0000", "\ud7ff" * 50, [], {}, [[]], [1, "a"], {"a": {}}, [None], "a" * 5000]
    bodies = {
        "/v1/chat/completions": {"messages": user("a"), "max_tokens": 1, "temperature": 1, "n": 1, "stop": ["a"], "stream": False,
                                 "tools": [TOOL], "tool_choice": "auto", "logit_bias": {"3": 1}, "response_format": {"type": "text"}},
        "/v1/completions": {"prompt": "a", "max_tokens": 1, "echo": True, "logprobs": 1, "seed": 1, "best_of": 1, "stream": True},
        "/v1/responses": {"input": "a", "max_output_tokens": 1, "instructions": "b"},
        "/tokenize": {"content": "a"}, "/detokenize": {"tokens": [5, 6]}, "/apply-template": {"messages": user("a")},
    }  # fmt: skip

    def mutate(value, depth=0):
        if rng.random() < 0.15 or depth > 4:
            return rng.choice(values)
        if isinstance(value, dict) and value:
            changed = {key: mutate(item, depth + 1) if rng.random() < 0.5 else item for key, item in value.items()}
            if rng.random() < 0.2:
                changed[rng.choice(["schema", "type", "grammar", "\u0000", "model"])] = rng.choice(values)
            return changed
        if isinstance(value, list) and value:
            return [mutate(item, depth + 1) for item in value] * rng.choice([1, 1, 2])
        return value

    def one(_):
        path = rng.choice(list(bodies))
        body = json.dumps(mutate(bodies[path])).encode()
        if rng.random() < 0.2:
            body = bytearray(body)
            for _ in range(rng.randint(1, 4)):
                body[rng.randrange(len(body))] = rng.randrange(256)
            body = bytes(body)
        status, answer = server.request(path, body)
        return status, body, answer

    counts = {}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for status, body, answer in pool.map(one, range(count)):
            counts[status] = counts.get(status, 0) + 1
            assert status < 500, (status, body[:200], answer)
            if status >= 400:
                assert answer["error"]["message"], answer
    assert server.request("/health")[0] == 200
    return f"{count} requests: " + ", ".join(f"{number} × {status}" for status, number in sorted(counts.items()))


def slow_clients(server, client, name):
    """Two hundred that send a byte now and then; others are answered meanwhile."""
    sockets = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" if i % 2 else b"GET / HT")
        sockets.append(s)
    for _ in range(10):
        for s in sockets:
            try:
                s.sendall(b"x")
            except OSError:  # its time is over
                pass
        answer = client.completions.create(model=name, prompt="One day", max_tokens=5, temperature=0)
        assert answer.usage.completion_tokens == 5
    for s in sockets:
        s.close()


def keys(context, path):
    file = context.work / "serve_keys"
    file.write_text("secret-1\nsecret-2\n")
    with Server(context, path, "--api-key-file", str(file)) as server:
        assert server.request("/health")[0] == 200
        for header, wanted in [(None, 401), ("Bearer secret-1", 200), ("Bearer secret-2", 200), ("Bearer secret", 401), ("secret-1", 401)]:
            status, _ = server.request("/v1/models", headers={"Authorization": header} if header else {})
            assert status == wanted, (header, status)
        assert server.request("/v1/models", headers={"Authorization": "Bearer secret-1", "Host": "evil.example"})[0] == 403


def sessions(context, path):
    """What a cache held is there after another start; a stop in order has status 0."""
    directory = context.work / "serve_sessions"
    shutil.rmtree(directory, ignore_errors=True)
    body = {"prompt": "Once upon a time there was a big dog who liked to run and play in the park.", "max_tokens": 8, "temperature": 0}
    texts = []
    for start in range(2):
        with Server(context, path, "--session-dir", str(directory)) as server:
            answer = server.request("/v1/completions", body)[1]
            texts.append(answer["choices"][0]["text"])
            reused = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
            assert (reused > 10) == (start == 1), f"start {start}: {reused} tokens reused"
        assert server.status == 0, server.status
    assert texts[0] == texts[1]
    assert list(directory.glob("*.session"))


# --- The guide's examples ---


def told(example, port):
    """The answer's text that a client of the guide prints: curl prints a response or a stream of events."""
    done = example.run(port)
    assert done.returncode == 0, done.stderr[-300:]
    if example.language != "sh":
        return done.stdout
    events = [line.removeprefix("data: ") for line in done.stdout.splitlines() if line.startswith("data: ")]
    if events:
        assert events.pop() == "[DONE]", done.stdout[-200:]
    choices = [json.loads(part)["choices"][0] for part in events or [done.stdout]]
    return "".join(choice["text"] if "text" in choice else choice["message"]["content"] for choice in choices)


def guide(context, path):
    """The blocks of docs/guide/serve.md as they stand there."""
    with Server(context, path, "--name", "llama") as server:
        for example in doc_examples.examples(ROOT / "docs" / "guide" / "serve.md"):
            if example.mark != doc_examples.WITH_A_SERVER:
                continue
            program = "curl" if example.language == "sh" else example.language
            case = f"serve: the guide's example in {program}, line {example.line}"
            if absent := example.missing():
                yield Row(case, True, note=f"skipped: no {absent[0]}")
                continue

            def answers(example=example):
                text = told(example, server.port)
                assert len(text.strip()) > 5, text

            yield check(case, answers)


# --- The page ---


def page(context, path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    with Server(context, path, "--slots", "2") as server, browser() as driver:
        wait = lambda what: until(lambda: what())  # noqa: E731
        find = lambda css: driver.find_elements(By.CSS_SELECTOR, css)  # noqa: E731
        driver.get(server.url)
        wait(lambda: find("#model option"))
        find("#settings-toggle")[0].click()
        for field, value in (("temperature", "0"), ("max_tokens", "30")):
            find("#" + field)[0].send_keys(value, Keys.TAB)
        find("#input")[0].send_keys("Tell me a story", Keys.ENTER)
        wait(lambda: find("article.assistant") and find("#send")[0].is_displayed())
        story = find("article.assistant .body")[0].text
        assert len(story) > 20, story
        wanted = server.request("/v1/chat/completions", {"messages": user("Tell me a story"), "temperature": 0, "max_tokens": 30})
        assert " ".join(wanted[1]["choices"][0]["message"]["content"].split()) == " ".join(story.split())
        # Again: a second version beside the first.
        find("article.assistant .tools button")[0].click()
        wait(lambda: "2/2" in find("article.assistant .tools")[0].text and find("#send")[0].is_displayed())
        # Edited: a branch from the first message.
        [button for button in find("article.user button") if button.text == "Edit"][0].click()
        field = find("textarea.edit")[0]
        field.clear()
        field.send_keys("Another one")
        find("article.user .tools button")[0].click()
        wait(lambda: "2/2" in find("article.user .tools")[0].text and find("#send")[0].is_displayed())
        # Stopped.
        find("#max_tokens")[0].clear()
        find("#max_tokens")[0].send_keys("400", Keys.TAB)
        find("#input")[0].send_keys("Go on", Keys.ENTER)
        # The bundled model may be done before the mouse is there.
        wait(lambda: find("#stop")[0].is_displayed() or len(find("article.assistant")) == 2)
        driver.execute_script("document.getElementById('stop').click()")
        wait(lambda: find("#send")[0].is_displayed())
        until(lambda: server.busy() == 0)
        # What a model says is text.
        said = driver.execute_async_script(
            "const done = arguments[0]; import('/page/markdown.js').then(({render}) => { const box = document.createElement('div');"
            "box.append(...render('<img src=x onerror=alert(1)> **b** `<i>`\\n\\n| a | b |\\n|---|---|\\n| <b>1</b> | 2 |\\n\\n"
            "```js\\n<script>1</script>\\n```')); done(box.innerHTML); });")  # fmt: skip
        assert "<img" not in said and "<script" not in said and "<table>" in said and "<strong>b</strong>" in said, said
        # Kept over a reload.
        count = len(find("article"))
        driver.refresh()
        wait(lambda: len(find("article")) == count)
        assert find("#temperature")[0].get_property("value") == "0"
        check_outline(driver)
        check_phone(driver)
        driver.save_screenshot(str(context.work / "page.png"))
        check_console(driver)
        check_requests(driver, server.url)


def until(holds):
    for _ in range(600):
        try:
            if holds():
                return
        except Exception as error:  # an element that was shown anew meanwhile
            if "stale" not in str(error).lower():
                raise
        time.sleep(0.05)
    raise AssertionError("waited for too long")


def missing(*packages):
    """A note that names the first package that is not installed; empty when all are."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return f"skipped: no Python package {absent[0]}" if absent else ""


def rows(context):
    path = model(context)
    yield check("serve: API keys, and names of other hosts", keys, context, path)
    yield check("serve: sessions are saved and restored", sessions, context, path)
    yield from guide(context, path)
    with Server(context, path, "--slots", "4", "--max-queue", "256") as server:
        name = server.request("/v1/models")[1]["data"][0]["id"]
        yield check("serve: echoed log probabilities are eval's", like_eval, context, path, server)
        yield check("serve: fuzzed requests", fuzzed, server, 300 if context.smoke else 10_000)
        if not_there := missing("openai", "jsonschema"):
            yield Row("serve: the openai package", True, note=not_there)
        else:
            import openai

            client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
            yield check("serve: chats, streams, responses", chats, client, name)
            yield check("serve: answers at once are those of run", like_run, context, path, client, name)
            yield check("serve: log probabilities, biases, stop texts", log_probabilities, client, name)
            yield check("serve: errors name the parameter", errors, openai, client, server, name)
            yield check("serve: a client that leaves frees its slot", cancellation, client, server, name)
            yield check("serve: tools", tools, client, name)
            yield check("serve: answers validate", schemas, client, name, 30 if context.smoke else 300)
            yield check("serve: slow clients hold nobody up", slow_clients, server, client, name)
        if not_there := missing("lm_eval"):
            yield Row("serve: lm-eval's local-completions", True, note=not_there)
        else:
            yield check("serve: lm-eval's local-completions", scored_pairs, context, path, server, name)
    problems = " ".join(line for line in server.log.read_text().splitlines() if not line.startswith("{"))
    yield Row("serve: stops in order", server.status == 0, note="" if server.status == 0 else f"{server.status}: {problems[-600:]}")
    not_there = missing("selenium") if shutil.which("chromedriver") else "skipped: no chromedriver"
    if not_there:
        yield Row("serve: the page in Chromium", True, note=not_there)
    else:
        yield check("serve: the page in Chromium", page, context, path)
