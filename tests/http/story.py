"""The language of tests/http/*.case: who does what, in order, and what must be seen.

A story is a title (its first comment line) and blocks; a block is a line at the margin and the
indented lines under it. Texts know \\r \\n \\t \\\\ \\xNN and ${...}; a text of `<<` is the more deeply
indented lines that follow, joined by newlines. Words of ${...}: NAME.url, NAME.key, NAME.port of a
provider; NAME.id, NAME.body of a client's last answer; running.id of a request without an answer yet; dir; port; free (a port nobody has); big (20 kB).

provider NAME [speaks DIALECT]       a scripted provider that lists the model NAME-m
    with YAML                        more of its configuration, such as `timeouts: { idle: 200ms }`
    tells models                     GET …/models is a request of the script too (else answered: none)
    on request | then always         one per request it gets; the last one may repeat
        wants POST /v1/x | wants header N: V | wants no header N | wants body has T | wants body = T
        answers STATUS TYPE TEXT     a whole answer          sends TEXT | sends file PATH
        streams                      the head of a stream    event TEXT | chunk TEXT | ends
        sends slowly N MS TEXT       N bytes every MS ms     waits 50ms | waits until left 500ms
        relays to the gateway        gives its answer to the same request
        refuses key K with 401       and nothing more, when the request came with K
        big event of N bytes         a delta
        closes | resets              the connection goes     hangs 2s   says nothing, watches it go
also                                 YAML behind the generated providers (routes, keys, limits …)
config                               the whole YAML instead
rewrite                              the whole YAML from now on (then `signal HUP`)
gateway [ARGS]                       starts it (else the first client does)
refuses to start [ARGS]              says has T (on stderr)
client [NAME]                        goes on with the connection of that name
    connects | posts PATH | gets PATH | METHOD PATH | header N: V
    body TEXT | body file PATH | body of N bytes (of JSON that asks for a-m)
    sends TEXT                       raw bytes instead       sends slowly N MS TEXT
    reads N events | reads | then reads   the first N events | all of it (expects does so too) | a next answer
    hangs up | resets | half closes
    expects status N | header N: V | header N ~ REGEX | no header N | body = T | body has T
    expects body hasn't T | body same as sent by NAME | json PATH = V | json PATH has T
    expects event N has T | event N named T | event N = T | events = N | last event has T
    expects complete | cut | closed | nothing | within 300ms | first within 300ms
record [of NAME]                     its fields: PATH = V | PATH has T | PATH > N | PATH is set
check PROVIDER                       requests = N | connections = N | request N body same as NAME
                                     request N body has T | request N header N: V | request N no header N
command WORDS                        pointsman WORDS: exits N | prints has T | says has T (stderr) | json PATH = V
signal NAME | waits 50ms | ends with N      | restarts
may log errors                       the story means to provoke one
"""
import json
import os
import re
import shlex
import signal
import socket
import time

import tap
from gateway import Gateway
from peers import Client, Fault, Provider, post


class Done(Exception):
    """A provider's block is over early."""


class Line:
    def __init__(self, number, text):
        self.number, self.text, self.children = number, text, []

    def words(self, most=-1):
        return self.text.split(None, most) if most >= 0 else self.text.split()


def parse(source):
    """Lines as a tree by indentation; comments and blank lines dropped except inside a `<<` text."""
    root = Line(0, "")
    stack = [(-1, root)]
    raw_depth = None
    for number, text in enumerate(source.split("\n"), 1):
        depth = len(text) - len(text.lstrip(" "))
        if raw_depth is not None:
            if text.strip() == "" or depth > raw_depth:
                stack[-1][1].children.append(Line(number, text))
                continue
            raw_depth = None
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        while depth <= stack[-1][0]:
            stack.pop()
        line = Line(number, text.strip())
        stack[-1][1].children.append(line)
        stack.append((depth, line))
        if line.text.endswith("<<") or line.text in ("also", "config", "rewrite"):
            raw_depth = depth
    return root.children


def block_text(line):
    """The lines under `<<`, with their common indentation taken off."""
    rows = [child.text for child in line.children]
    while rows and not rows[-1].strip():
        rows.pop()
    least = min((len(r) - len(r.lstrip(" ")) for r in rows if r.strip()), default=0)
    return "\n".join(r[least:] for r in rows)


ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


def unescape(text):
    out = re.sub(r"\\x([0-9a-fA-F]{2})|\\([rnt\\])",
                 lambda m: chr(int(m.group(1), 16)) if m.group(1) else ESCAPES[m.group(2)], text)
    return out


def to_bytes(text):
    """\\xNN are bytes; everything else is UTF-8."""
    out = bytearray()
    for part in re.split(r"(\\x[0-9a-fA-F]{2}|\\[rnt\\])", text):
        if re.fullmatch(r"\\x[0-9a-fA-F]{2}", part):
            out.append(int(part[2:], 16))
        elif re.fullmatch(r"\\[rnt\\]", part):
            out += ESCAPES[part[1]].encode()
        else:
            out += part.encode()
    return bytes(out)


def seconds(word):
    found = re.fullmatch(r"([\d.]+)(ms|s)", word)
    if not found:
        raise ValueError(f"{word} is no time such as 50ms or 2s")
    return float(found.group(1)) / (1000 if found.group(2) == "ms" else 1)


def unchunk(raw):
    """The body of raw answer bytes, framing taken off."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    if not re.search(rb"transfer-encoding:\s*chunked", head, re.I):
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        n = int(size or b"0", 16)
        if n == 0:
            break
        body, rest = body + rest[:n], rest[n + 2:]
    return body


def walk(value, path):
    for part in path.split(".") if path != "." else []:
        if isinstance(value, list) and re.fullmatch(r"-?\d+", part) and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            raise Fault(f"there is no {path} in {json.dumps(value)[:300]}")
    return value


def show(value):
    return value if isinstance(value, str) else json.dumps(value)


def judge(what, value, rest):
    """`= V`, `has T`, `hasn't T`, `> N`, `~ REGEX`, `is set`, `is empty` about a value."""
    verb, _, want = rest.partition(" ")
    want = unescape(want)
    text = show(value)
    if verb == "is":
        right = bool(value) == (want == "set")
    else:
        right = {"=": lambda: text == want, "has": lambda: want in text, "hasn't": lambda: want not in text,
                 "!=": lambda: text != want, "~": lambda: re.search(want, text) is not None,
                 ">": lambda: float(text) > float(want), "<": lambda: float(text) < float(want)}[verb]()
    if not right:
        raise Fault(f"{what} {verb} {want!r}, but it is {text[:600]!r}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class State:
    """What a client of the story holds."""

    def __init__(self):
        self.client = self.answer = None
        self.head, self.headers, self.body, self.sent_body = None, [], None, b""
        self.reading_on = False


class Story:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as f:
            self.source = f.read()
        self.title = next((line.lstrip("# ").strip() for line in self.source.split("\n") if line.startswith("#")),
                          os.path.basename(path))
        self.providers, self.clients = {}, {}
        self.gateway, self.started = Gateway(), False
        self.also, self.config, self.errors_allowed = "", None, False
        self.ended, self.free_port = None, free_port()
        self.seen = []  # all bytes that clients got

    # ---- words and values ----

    def fill(self, text):
        def value(match):
            name, _, field = match.group(1).partition(".")
            if name == "dir":
                return self.gateway.folder
            if name == "running":
                return next(r["id"] for r in self.gateway.records() if r.get("state") != "done")
            if name == "port":
                return str(self.gateway.port)
            if name == "big":
                return "x" * 20000
            if name == "free":
                return str(self.free_port)
            if name in self.providers:
                return str(getattr(self.providers[name], field or "url"))
            if name in self.clients and field == "id":
                return self.clients[name].answer.header("x-request-id") or ""
            if name in self.clients and field == "body":
                return self.clients[name].answer.text()
            raise Fault(f"nobody is called {match.group(1)}")
        return re.sub(r"\$\{([\w.-]+)\}", value, text)

    def text_of(self, line, text):
        text = block_text(line) if text == "<<" else text
        return self.fill(text)

    def bytes_of(self, line, text):
        return to_bytes(self.text_of(line, text))

    def file_bytes(self, path):
        path = self.fill(path)
        with open(path if os.path.isabs(path) else os.path.join(os.path.dirname(self.path), path), "rb") as f:
            return f.read()

    # ---- the gateway ----

    def default_config(self):
        rows = ["workers: 2", "providers:"]
        for p in self.providers.values():
            extra = getattr(p, "extra", "")
            if not re.search(r"\bmodels:", extra):
                extra += f", models: [{p.name}-m]"
            if not re.search(r"\bapi_keys?:", extra):
                extra += f", api_key: \"{p.key}\""
            rows.append(f"  {p.name}: {{ dialect: {p.dialect}, base_url: \"{p.url}\"{extra} }}")
        return "\n".join(rows) + "\n" + self.also

    def start(self, words=()):
        if self.started:
            return
        text = self.config if self.config is not None else self.default_config()
        self.gateway.write_config(self.fill(text))
        self.gateway.start(words)
        self.started = True

    # ---- a provider's script ----

    def provider_block(self, line):
        steps = list(line.children)

        def play(provider, link, request):
            for step in steps:
                try:
                    self.provider_step(provider, link, request, step)
                except Done:
                    return
                except Fault as fault:
                    raise Fault(f"line {step.number}: {step.text}: {fault}") from None
        return play

    def provider_step(self, provider, link, request, line):
        verb, _, rest = line.text.partition(" ")
        if verb == "wants":
            self.want(request, line, rest)
        elif verb == "answers":
            status, kind, body = (rest.split(" ", 2) + [""])[:3]
            link.answer(int(status), kind, self.bytes_of(line, body))
        elif verb == "sends" and rest.startswith("file "):
            link.send(self.file_bytes(rest[5:]))
        elif verb == "sends" and rest.startswith("slowly "):
            _, size, pause, text = rest.split(" ", 3)
            link.slowly(self.bytes_of(line, text), int(size), seconds(pause))
        elif verb == "sends":
            link.send(self.bytes_of(line, rest))
        elif line.text.startswith("refuses key "):
            if line.words()[2] in (request.header("authorization") or ""):
                link.answer(int(line.words()[4]), "application/json", b'{"error":{"message":"a dead key"}}')
                raise Done
        elif line.text.startswith("big event of "):
            link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * int(line.words()[3]) +
                       b'"},"finish_reason":"stop"}]}\n\n')
        elif line.text == "relays to the gateway":
            again = Client(self.gateway.port)
            again.send(re.sub(rb"(?i)\r\nhost: [^\r]*", b"\r\nHost: 127.0.0.1", request.raw))
            link.send(again.read().raw)
            again.sock.close()
        elif verb == "streams":
            link.stream_head()
        elif verb == "event":
            link.chunk(b"data: " + self.bytes_of(line, rest) + b"\n\n")
        elif verb == "chunk":
            link.chunk(self.bytes_of(line, rest))
        elif verb == "ends":
            link.may_break = True  # who has heard enough may have left already
            link.send(b"0\r\n\r\n")
        elif verb == "waits" and rest.startswith("until left "):
            provider.left.append(link.wait_left(seconds(rest[11:])))
            link.close()
        elif verb == "waits":
            link.may_break = True
            time.sleep(seconds(rest))
        elif verb == "hangs":
            try:
                link.wait_left(seconds(rest))
            except Fault:
                pass
            link.close()
        elif verb == "closes":
            link.close()
        elif verb == "resets":
            link.reset()
        else:
            raise Fault("no such step of a provider")

    def want(self, request, line, rest):
        kind, _, what = rest.partition(" ")
        if kind == "header":
            self.judge_header(request.header, what)
        elif kind == "no":
            if request.header(what.split()[1]) is not None:
                raise Fault(f"the request has it: {request.header(what.split()[1])}")
        elif kind == "body":
            judge("the request's body", request.body.decode("utf-8", "replace"),
                  what.replace("<<", self.text_of(line, "<<"), 1) if what.endswith("<<") else self.fill(what))
        elif f"{request.method} {request.target}" != self.fill(rest):
            raise Fault(f"it is {request.method} {request.target}")

    def judge_header(self, get, what):
        what = self.fill(what)
        if " ~ " in what:
            name, _, pattern = what.partition(" ~ ")
            judge(f"header {name}", get(name) or "", "~ " + pattern)
            return
        name, colon, value = what.partition(":")
        have = get(name.strip())
        if have is None or (colon and have != unescape(value.strip())):
            raise Fault(f"header {name} is {have!r}")

    # ---- blocks ----

    def do_provider(self, line):
        words = line.words()
        name = words[1]
        dialect = words[3] if len(words) > 3 else name if name in ("anthropic", "gemini") else "openai"
        p = self.providers.get(name) or Provider(name, dialect)
        self.providers[name] = p
        for child in line.children:
            if child.text == "tells models":
                p.tells_models = True
                continue
            if child.text.startswith("with "):
                p.extra = ", " + self.fill(child.text[5:])
                continue
            p.blocks.append(self.provider_block(child))
            p.repeat = child.text == "then always"

    def do_also(self, line):
        self.also = block_text(line) + "\n"

    def do_config(self, line):
        self.config = block_text(line) + "\n"

    def do_gateway(self, line):
        self.start(self.fill(line.text).split()[1:])

    def do_refuses(self, line):
        self.gateway.write_config(self.fill(self.config if self.config is not None else self.default_config()))
        try:
            self.gateway.start(self.fill(line.text).split()[3:])
        except Fault:
            for child in line.children:
                self.at(child, judge, "the log", self.gateway.read_log(), child.text.partition(" ")[2])
            self.gateway.kill()
            return
        self.started = True
        raise Fault("it started")

    def do_rewrite(self, line):
        self.gateway.write_config(self.fill(block_text(line) + "\n"))

    def do_may(self, line):
        self.errors_allowed = True

    def do_waits(self, line):
        time.sleep(seconds(line.words()[1]))

    def do_signal(self, line):
        self.gateway.signal(getattr(signal, "SIG" + line.words()[1]))

    def do_ends(self, line):
        code = self.gateway.wait_end()
        self.ended = code
        if code != int(line.words()[2]):
            raise Fault(f"it ended with {code}")

    def do_kills(self, line):
        self.gateway.kill()

    def do_restarts(self, line):
        self.gateway.kill() if line.text.endswith("killed") else self.gateway.stop()
        self.gateway.start()
        self.clients.clear()

    def do_record(self, line):
        words = line.words()
        state = self.clients[words[2] if len(words) > 2 else "client"] if words[1:2] != ["newest"] else None
        ident = state.answer.header("x-request-id") if state and state.answer else None
        record = self.gateway.record(ident)
        for child in line.children:
            path, _, rest = child.text.partition(" ")
            self.at(child, judge, "the record's " + path, walk(record, path), self.fill(rest))

    def do_check(self, line):
        p = self.providers[line.words()[1]]
        for child in line.children:
            words = child.words()
            if words[0] in ("requests", "connections"):
                value = len(p.requests) if words[0] == "requests" else p.connections
                self.at(child, judge, words[0], value, child.text.partition(" ")[2])
                continue
            request = p.requests[int(words[1]) - 1]
            rest = child.text.split(None, 2)[2]
            if rest.startswith("body same as "):
                mine = self.clients[words[-1]].sent_body
                if request.body != mine:
                    self.at(child, self.fault, f"sent {mine[:300]!r}, got {request.body[:300]!r}")
            else:
                self.at(child, self.want, request, child, rest)

    def do_command(self, line):
        self.start()
        code, out, err = self.gateway.command(*shlex.split(self.fill(line.text[8:])))
        wanted = 0
        for child in line.children:
            verb, _, rest = child.text.partition(" ")
            if verb == "exits":
                wanted = int(rest)
            elif verb == "prints":
                self.at(child, judge, "the output", out, self.fill(rest))
            elif verb == "says":
                self.at(child, judge, "stderr", err, self.fill(rest))
            elif verb == "json":
                path, _, test = rest.partition(" ")
                self.at(child, judge, path, walk(json.loads(out.splitlines()[0] if out else "null"), path),
                        self.fill(test))
            else:
                self.at(child, self.fault, "no such wish about a command")
        if code != wanted:
            raise Fault(f"it exits with {code}: {out[-300:]} {err[-300:]}")

    # ---- a client ----

    def do_client(self, line):
        self.start()
        name = (line.words() + ["client"])[1]
        state = self.clients.setdefault(name, State())
        for child in line.children:
            self.at(child, self.client_step, state, child)
        self.flush(state)

    def connect(self, state):
        state.client = Client(self.gateway.port)
        state.reading_on = False

    def flush(self, state):
        """Sends the request that was put together."""
        if not state.head:
            return
        method, path = state.head
        if not state.client:
            self.connect(state)
        body = state.body if state.body is not None else b""
        state.sent_body = body
        if method == "POST" or state.body is not None:
            data = post(path, body, state.headers).replace(b"POST", method.encode(), 1)
        else:
            data = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *state.headers, "", ""]).encode()
        state.head, state.headers, state.body, state.answer = None, [], None, None
        state.client.send(data)

    def read(self, state, until=None):
        self.flush(state)
        if state.reading_on:
            state.client._read_chunks(state.answer, until)
            state.answer.total_s = time.monotonic() - state.client.started
        elif state.answer is None:
            state.answer = state.client.read(until)
        state.reading_on = bool(until) and not state.answer.complete
        self.seen.append(state.answer.raw)
        return state.answer

    def answer_of(self, state):
        if state.answer is None or state.head or state.reading_on:
            self.read(state)
        return state.answer

    def client_step(self, state, line):
        verb, _, rest = line.text.partition(" ")
        if verb in ("posts", "gets") or re.fullmatch(r"[A-Z]+", verb):
            self.flush(state)
            state.head = ({"posts": "POST", "gets": "GET"}.get(verb, verb), self.fill(rest))
        elif verb == "header":
            state.headers.append(unescape(self.fill(rest)))
        elif verb == "body" and not line.text.startswith("body of "):
            state.body = self.file_bytes(rest[5:]) if rest.startswith("file ") else self.bytes_of(line, rest)
        elif line.text.startswith("body of "):
            state.body = b'{"model":"a-m","messages":[]}' + b" " * (int(line.words()[2]) - 29)
        elif verb == "connects":
            self.connect(state)
        elif verb == "sends":
            self.client_send(state, line, rest)
        elif verb == "reads":
            count = re.fullmatch(r"(\d+) events?", rest)
            self.read(state, int(count.group(1)) if count else None)
        elif line.text in ("hangs up", "resets", "half closes"):
            self.flush(state)
            state.client.hang_up({"hangs up": "close", "resets": "reset"}.get(line.text, "half"))
            if line.text != "half closes":
                state.client = None
        elif line.text == "then reads":
            state.answer = state.client.read()
            self.seen.append(state.answer.raw)
        elif verb == "waits":
            self.flush(state)
            time.sleep(seconds(rest))
        elif verb == "expects":
            self.expect(state, line, rest)
        else:
            raise Fault("no such step of a client")

    def client_send(self, state, line, rest):
        if not state.client:
            self.connect(state)
        state.answer = None
        if rest.startswith("slowly "):
            _, size, pause, text = rest.split(" ", 3)
            data = self.bytes_of(line, text)
            state.client.started = time.monotonic()
            for at in range(0, len(data), int(size)):
                state.client.sock.sendall(data[at:at + int(size)])
                time.sleep(seconds(pause))
        else:
            state.client.send(self.bytes_of(line, rest))

    def expect(self, state, line, rest):
        answer = self.answer_of(state)
        kind, _, what = rest.partition(" ")
        if what.endswith("<<"):
            what = what[:-2] + self.text_of(line, "<<")
        what = self.fill(what)
        if kind == "status":
            judge("the status", answer.status, what if what.startswith("~ ") else f"= {what}")
        elif kind == "header":
            self.judge_header(answer.header, what)
        elif kind == "no":
            if answer.header(what.split()[1]) is not None:
                raise Fault(f"it is there: {answer.header(what.split()[1])}")
        elif kind == "body" and what.startswith("same as sent by "):
            sent = b"".join(unchunk(bytes(raw)) for raw in self.providers[what.split()[-1]].sent[-1:])
            if sent != answer.body:
                raise Fault(f"sent {sent[:500]!r}, got {answer.body[:500]!r}")
        elif kind == "body":
            judge("the body", answer.text(), what)
        elif kind == "json":
            path, _, test = what.partition(" ")
            judge(path, walk(answer.json(), path), test)
        else:
            self.expect_shape(state, answer, kind, what)

    def expect_shape(self, state, answer, kind, what):
        events = answer.events()
        if kind == "events":
            judge("the number of events", len(events), what)
        elif kind in ("event", "last"):
            index, _, test = what.partition(" ")
            place = len(events) - 1 if kind == "last" else int(index) - 1
            if not 0 <= place < len(events):
                raise Fault(f"there are {len(events)} events: {events}")
            if test.startswith("named "):
                judge("its name", events[place][0], "= " + test[6:])
            else:
                judge("its data", events[place][1], test)
        elif kind in ("complete", "cut"):
            if answer.complete != (kind == "complete"):
                raise Fault(f"complete is {answer.complete}; got {answer.raw[-300:]!r}")
        elif kind == "closed":
            if not answer.closed and not state.client.closed():
                raise Fault("the connection stays open")
        elif kind == "nothing":
            if answer.raw:
                raise Fault(f"got {answer.raw[:300]!r}")
        elif kind in ("within", "first"):
            took = answer.first_s if kind == "first" else answer.total_s
            if took > seconds(what.split()[-1]):
                raise Fault(f"it took {took * 1000:.1f} ms")
        elif kind == "after":
            if answer.first_s < seconds(what):
                raise Fault(f"it took only {answer.first_s * 1000:.1f} ms")
        else:
            raise Fault("no such wish about an answer")

    # ---- the whole ----

    def fault(self, text):
        raise Fault(text)

    def at(self, line, function, *args):
        try:
            function(*args)
        except Fault as fault:
            text = str(fault)
            raise Fault(text if text.startswith("line ") else f"line {line.number}: {line.text}: {text}") from None

    def run(self):
        """A list of faults; empty when the story came true."""
        faults = []
        try:
            for line in parse(self.source):
                act = getattr(self, "do_" + line.words()[0], None)
                if not act:
                    raise Fault(f"line {line.number}: no such block: {line.text}")
                self.at(line, act, line)
        except Fault as fault:
            faults.append(str(fault))
        except (OSError, ValueError, KeyError, IndexError) as error:
            faults.append(f"{type(error).__name__}: {error}")
        finally:
            faults += self.finish()
        return faults

    def finish(self):
        faults = []
        for p in self.providers.values():
            faults += p.faults
            if not p.repeat and len(p.requests) < len(p.blocks):
                faults.append(f"provider {p.name}: only {len(p.requests)} of {len(p.blocks)} requests came")
        try:
            if self.started and self.ended is None:
                self.gateway.stop()
        except Fault as fault:
            faults.append(str(fault))
        secrets = [p.key for p in self.providers.values()]
        faults += self.gateway.judge_log(self.errors_allowed, secrets)
        if any(s.encode() in raw for s in secrets for raw in self.seen):
            faults.append("a provider's key reached a client")
        for state in self.clients.values():
            if state.client:
                state.client.sock.close()
        for p in self.providers.values():
            p.stop()
        self.log = self.gateway.read_log()
        self.gateway.remove()
        return faults
