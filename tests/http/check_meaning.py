#!/usr/bin/env python3
"""Every recorded exchange, replayed by a provider on loopback and asked for in each of the four dialects: what the
client reads (by meaning.py, not by the gateway's own readers) is what expected.json says it means. In its own
dialect it is the same bytes. The provider is known by its real name, through a proxy. Prints TAP.

    check_meaning.py [PART-OF-A-NAME [CLIENT-DIALECT]]      only some, and all that differs is shown"""
import csv
import http.client
import http.server
import json
import os
import random
import re
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import meaning  # noqa: E402
import tap  # noqa: E402

SHARED = os.environ.get("POINTSMAN_SHARED", os.path.join(os.path.dirname(gateway.ROOT), "shared"))
ROOTS = (os.path.join(gateway.ROOT, "tests/fixtures/exchanges"), os.path.join(SHARED, "fixtures"))
DIALECTS = {"openai-chat": "openai", "openai-responses": "openai_responses", "anthropic-messages": "anthropic",
            "gemini-generate": "gemini"}
ENDS = {"openai-chat": "/chat/completions$", "openai-responses": "/responses$", "anthropic-messages": "/messages$",
        "gemini-generate": ":(stream)?[gG]enerateContent"}
HOSTS = {"openai": "api.openai.com", "azure": "lab.openai.azure.com", "openrouter": "openrouter.ai", "groq":
         "api.groq.com", "mistral": "api.mistral.ai", "deepseek": "api.deepseek.com", "xai": "api.x.ai", "together":
         "api.together.xyz", "fireworks": "api.fireworks.ai", "cerebras": "api.cerebras.ai", "perplexity":
         "api.perplexity.ai", "moonshot": "api.moonshot.ai", "zai": "api.z.ai", "huggingface":
         "router.huggingface.co", "gemini": "generativelanguage.googleapis.com", "ollama": "lab:11434", "lmstudio":
         "lab:1234", "vllm": "lab:8000", "llamacpp": "lab:8080"}
# Where more or other is told than expected.json says, and why: (exchange, fault, reason).
OTHERWISE = [(re.compile(a), re.compile(b)) for a, b, _ in (
    ("servertools|audio", "^usage prompt_tokens", "what a provider's tools fed the model is billed as input: it is told"),
    ("azure/.*cacheread", "^usage cached_tokens", "more cached than there was of input: as much as there was"),
    ("^(gemini|vercel-gateway)/chat-", "^usage completion_tokens", "the rest of the total is output, too"),
    ("generate-stream-tools-parallel-reasoning-01", "^calls", "calls in pieces: expected.json lists the pieces"),
    ("cloudflare/.*schema", "^text", "the content is an object: its JSON is the text"),
    ("openai/chat-json-text-03", "^text", "sound: its transcript is the text where there is no sound"),
    ("length", "INVALID_JSON", "arguments that were cut have no other form in Gemini"),
    ("reasoning", r"^reasoning .*\\n\\n", "the parts of a summary are told with an empty line between them"),
    ("chat-json-tool-02", "^finish tool_calls", "a forced call, which OpenAI ends by \"stop\""),
    ("generate-json-malformed-call", "^finish stop, wanted error", "Anthropic has no word for it"),
    ("", "^finish .* wanted None", "no finish reason that OpenAI knows"),
    ("", "UNEXPECTED_TOOL_CALL", "a call is there all the same: the client may answer it"))]


class Case:
    def __init__(self, root, row):
        self.provider, self.name, self.dialect = row["provider"], row["case"], row["dialect"]
        self.status, self.file = int(row["status"]), row["body_file"]
        self.stream = row["mode"] == "stream"
        folder = os.path.join(root, self.provider, self.name)
        with open(os.path.join(folder, self.file), "rb") as f:
            self.body = f.read()
        with open(os.path.join(folder, "expected.json"), encoding="utf-8") as f:
            self.expected = json.load(f)
        self.key = f"{self.provider}~{self.name}~{os.path.basename(os.path.dirname(root))}"
        self.target = f"{self.provider}_{self.dialect}".replace("-", "_")


def cases(only):
    for root in ROOTS:
        if not os.path.exists(os.path.join(root, "manifest.tsv")):
            continue
        with open(os.path.join(root, "manifest.tsv"), encoding="utf-8") as f:
            for row in csv.DictReader(f, delimiter="\t"):
                if row["dialect"] in DIALECTS and row["body_file"] and (
                        not only or only in row["provider"] + "/" + row["case"]):
                    yield Case(root, row)


# --- the provider ---------------------------------------------------------------------------------------------

class Replay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = re.search(r"/models/([^:/]+):", self.path)
        case = self.server.cases[name.group(1) if name else json.loads(body)["model"]]
        if not re.search(ENDS[case.dialect], self.path):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        kind = {"stream.sse": "text/event-stream", "response.txt": "text/plain"}.get(case.file, "application/json")
        self.send_response(case.status)
        self.send_header("Content-Type", kind)
        if not case.stream:
            self.send_header("Content-Length", str(len(case.body)))
            self.end_headers()
            self.wfile.write(case.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cut = random.Random(case.key)
        at = 0
        while at < len(case.body):
            piece = case.body[at:at + cut.choice((1, 7, 300, 5000))]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            at += len(piece)
        self.wfile.write(b"0\r\n\r\n")


def config(port, found):
    text = "capture: { bodies: off }\nworkers: 1\nproviders:\n"
    for target, case in {c.target: c for c in found}.items():
        path = {"anthropic-messages": "", "gemini-generate": "/v1beta"}.get(case.dialect, "/v1")
        host = HOSTS.get(case.provider)
        where = (f"base_url: 'http://{host}{path}', proxy: 'http://127.0.0.1:{port}', api_key: client" if host else
                 f"base_url: 'http://127.0.0.1:{port}{path}', api_key: env:LAB_KEY")
        text += f"  {target}: {{ dialect: {DIALECTS[case.dialect]}, {where} }}\n"
    return text


# --- the client -----------------------------------------------------------------------------------------------

def question(dialect, model, stream):
    """Path and body: everything is asked for that an answer may hold."""
    if dialect == "openai-chat":
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": "low",
                "max_completion_tokens": 5000}
        return "/v1/chat/completions", dict(body, **({"stream": True, "stream_options": {"include_usage": True}}
                                                     if stream else {}))
    if dialect == "openai-responses":
        return "/v1/responses", {"model": model, "input": "Hi", "store": False, "stream": stream,
                                 "reasoning": {"effort": "low", "summary": "auto"}}
    if dialect == "anthropic-messages":
        return "/v1/messages", {"model": model, "max_tokens": 5000, "stream": stream, "thinking": {
            "type": "enabled", "budget_tokens": 1024}, "messages": [{"role": "user", "content": "Hi"}]}
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                                              "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}


def ask(g, dialect, case):
    path, body = question(dialect, f"{case.target}/{case.key}", case.stream)
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=30)
    c.request("POST", path.replace(f"models/{case.target}/", f"models/{case.target}%2F"), json.dumps(body),
              {"content-type": "application/json", "anthropic-version": "2023-06-01"})
    r = c.getresponse()
    try:
        text = r.read()
    except http.client.IncompleteRead as cut:
        text = cut.partial
    c.close()
    return r, text


# --- what is compared -----------------------------------------------------------------------------------------

def plain(text):
    return unicodedata.normalize("NFC", text or "").strip()


def wanted_calls(expected):
    calls = []
    for c in expected.get("tool_calls") or []:
        arguments = c.get("arguments_json", c.get("arguments"))
        calls.append([c.get("name"), meaning.arguments_of(arguments) if isinstance(arguments, str) else arguments or {}])
    return calls


def differs(case, said):
    """What of the meaning did not arrive."""
    e = case.expected
    if e.get("stream_error") or e.get("response_error"):
        if not said["error"]:
            yield "the error inside the answer is lost"
        return
    if said["error"] and e.get("finish_reason") != "error":
        yield f"an error that nobody made: {said['error']}"
    text, refusal = plain(e.get("text")), plain(e.get("refusal"))
    if plain(said["text"] + said["refusal"]) != plain(text + refusal):
        yield f"text {said['text'][:300]!r}, wanted {text[:300]!r}"
    if plain(said["reasoning"]) != plain(e.get("reasoning")):
        yield f"reasoning {said['reasoning'][:300]!r}, wanted {(e.get('reasoning') or '')[:300]!r}"
    if said["calls"] != wanted_calls(e):
        yield f"calls {said['calls']}, wanted {wanted_calls(e)}"
    if said["finish"] != e.get("finish_reason"):
        yield f"finish {said['finish']}, wanted {e.get('finish_reason')} ({e.get('finish_reason_native')})"
    usage = e.get("usage_openai")
    for member, n in (usage or {}).items():
        if n is not None and said["usage"] and member in said["usage"] and said["usage"][member] != n:
            yield f"usage {member} {said['usage'][member]}, wanted {n}"
    if usage and usage.get("prompt_tokens") and not said["usage"]:
        yield "usage is lost"


def compare(g, case, dialect):
    try:
        return [fault for fault in compared(g, case, dialect)
                if not any(where.search(f"{case.provider}/{case.name}") and what.search(fault)
                           for where, what in OTHERWISE)]
    except (ValueError, KeyError, TypeError) as bad:
        return [f"{type(bad).__name__}: {bad}"]


def compared(g, case, dialect):
    r, body = ask(g, dialect, case)
    if dialect == case.dialect and r.status == case.status:
        return [] if body == case.body else [f"not the same bytes: {body[:300]!r}"]
    if case.status >= 400:
        want = (case.expected.get("error") or {}).get("message") or ""
        want = want.strip() if isinstance(want, str) else ""
        if dialect == case.dialect or r.status < 400:
            return [f"status {r.status} for {case.status}"]
        message = meaning.error_of(dialect, body)
        return [f"message {message!r}, wanted {want!r}"] if want not in message else []
    if r.status != 200:
        if (case.expected.get("stream_error") or case.expected.get("response_error")) and r.status >= 400:
            return []
        return [f"status {r.status}: {body[:300]!r}"]
    return list(differs(case, meaning.of(dialect, body, case.stream)))


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    found = list(cases(only))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # the gateway hangs up where it has heard enough
    server.cases = {c.key: c for c in found}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    g = gateway.Gateway()
    g.env["LAB_KEY"] = "sk-lab-0123456789abcdef0123"
    g.write_config(config(server.server_address[1], found))
    g.start()
    clients = [d for d in DIALECTS if len(sys.argv) < 3 or d == sys.argv[2]]
    tap.plan(len(clients))
    failed = 0
    try:
        for number, dialect in enumerate(clients, 1):
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda c: compare(g, c, dialect), found))
            faults = [f"{c.provider}/{c.name}: " + "; ".join(a) for c, a in zip(found, answers) if a]
            failed += tap.line(number, f"{len(found)} exchanges say to a client of {dialect} what they mean", faults)
            if only:
                print("\n".join(faults[20:]))
    finally:
        g.stop()
        server.shutdown()
    return failed


if __name__ == "__main__":
    sys.exit(main())
