#!/usr/bin/env python3
"""What the stories can't tell because it is about the process, its files or many clients at once: secrets
in /proc, in files and in what is printed; hostile texts in every field; floods and few descriptors;
planted files. Each check names the threat of the model it shows. Prints TAP."""
import base64
import glob
import json
import math
import os
import random
import re
import resource
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, post  # noqa: E402

NOBODY = 65534
SANITIZED = "debug" in gateway.BUILD or "tsan" in gateway.BUILD
CHAT = "/v1/chat/completions"
ROUNDS = int(os.environ.get("TIMING_ROUNDS", "5000"))
HOSTILE = ["' OR '1'='1", "'; DROP TABLE exchange; --", "\") UNION SELECT name FROM sqlite_master --", "%n%n%n%s%s",
           "=cmd|' /C calc'!A0", "../../../../etc/passwd", "${jndi:ldap://x/a}", "\u202etxt.exe", "%' ESCAPE '",
           "a\u0000b", "`id`", "<script>alert(1)</script>", "NULL", "\\", "\"", "0x00", "1e999", "*", "\u001b[2J"]


def wish(right, text):
    if not right:
        raise Fault(text)


def ask(port, body, headers=(), path=CHAT):
    client = Client(port)
    try:
        client.send(post(path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers))
        return client.read()
    finally:
        client.sock.close()


def config(providers, more=""):
    rows = ["workers: 2", "providers:"]
    for p in providers:
        extra = getattr(p, "extra", "")
        key = "" if "api_key" in extra else f", api_key: \"{p.key}\""
        rows.append(f"  {p.name}: {{ dialect: {p.dialect}, base_url: \"{p.url}\", models: [{p.name}-m]{key}{extra} }}")
    return "\n".join(rows) + "\n" + more


def answering(name, body=b'{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'):
    p = Provider(name)
    p.blocks, p.repeat = [lambda _, link, __: link.answer(200, "application/json", body)], True
    return p


def started(g, text, words=()):
    g.write_config(text)
    g.start(words)
    return g


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def ends_well(g, errors_allowed=False):
    g.stop()
    faults = g.judge_log(errors_allowed)
    wish(not faults, "; ".join(faults))


# ---- secrets ----

def t03_a_stored_hash_opens_nothing(g):
    """T3: what the store keeps of a key, in any spelling, is no key; nor is one with a letter changed."""
    started(g, config([answering("a")]))
    made = json.loads(g.command("key", "add", "ci", "20/week", "--json")[1])["secret"]
    g.stop()
    with sqlite3.connect(os.path.join(g.data, "pointsman.db")) as db:
        stored = "\n".join(row[0] for row in db.execute("select json from state where name like 'live/%ci'"))
    wish(made not in stored, "the secret stands in the store")
    hashes = re.findall(r'"digest":"([^"]+)"', stored)
    wish(hashes, f"no hash is stored: {stored[:200]}")
    raw = bytes.fromhex(hashes[0])
    wrong = made[:-1] + ("a" if made[-1] != "a" else "b")
    g.start()
    for offered in (hashes[0], hashes[0].upper(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
                    "sk-pm-" + hashes[0], wrong, made[:8], made + "x", made.swapcase()):
        answer = ask(g.port, {"model": "a-m", "messages": []}, [f"Authorization: Bearer {offered}"])
        wish(answer.status == 401 and (len(offered) < 20 or offered not in answer.text()), f"{answer.status} for {offered[:12]}…: {answer.text()}")
    answer = ask(g.port, {"model": "a-m", "messages": []}, [f"Authorization: Bearer {made}"])
    wish(answer.status == 200, f"the key itself: {answer.status} {answer.text()}")
    ends_well(g)


INBOUND = [(CHAT, {"model": "a-m", "messages": []}),
           ("/v1/completions", {"model": "a-m", "prompt": "x"}),
           ("/v1/embeddings", {"model": "a-m", "input": "x"}),
           ("/v1/responses", {"model": "a-m", "input": "x"}),
           ("/v1/images/generations", {"model": "a-m", "prompt": "x"}),
           ("/v1/messages", {"model": "an-m", "max_tokens": 5, "messages": []}),
           ("/v1/messages/count_tokens", {"model": "an-m", "messages": []}),
           ("/v1beta/models/ge-m:generateContent", {"contents": []}),
           ("/v1beta/models/ge-m:streamGenerateContent?alt=sse", {"contents": []})]


def refused_in_words(answer, path, member):
    said = json.loads(answer.body)
    wish(answer.status == 400 and f"`{member}`" in said["error"]["message"] and "Leave it out" in said["error"]["message"],
         f"{path} with {member}: {answer.status} {answer.text()}")
    shape = {"/v1/m": said.get("type") == "error", "/v1be": said["error"].get("status") == "INVALID_ARGUMENT"}
    wish(shape.get(path[:5], "type" in said["error"]), f"{path}: not in the caller's shape: {answer.text()}")


def t09_a_request_names_no_place_for_our_key(g):
    """T9: neither body nor headers choose where a request, and the provider's key with it, goes: as members of a body
    such names are refused in words, whatever the dialect and spelling; elsewhere they mean nothing."""
    a, evil, an, ge = answering("a"), answering("evil"), answering("an"), answering("ge")
    an.dialect, ge.dialect = "anthropic", "gemini"
    started(g, config([a, an, ge]))
    there = f"http://127.0.0.1:{evil.port}/v1"
    for path, body in INBOUND:
        for member in ("api_base", "base_url", "api_key"):
            refused_in_words(ask(g.port, {**body, member: there}, path=path), path, member)
            hidden = json.dumps({**body, "HERE": there}).replace("HERE", "".join(f"\\u{ord(c):04x}" for c in member))
            refused_in_words(ask(g.port, hidden.encode(), path=path), path, member)
            refused_in_words(ask(g.port, ("{\"%s\":1," % member + json.dumps(body)[1:]).encode(), path=path), path, member)
    for head in ('name="api_base"', "name=api_base", "NAME=\"api_base\"; filename=x", 'x="a;b"; name="api_base"'):
        form = (f"--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{there}\r\n--B\r\nContent-Disposition: form-data; "
                "name=\"model\"\r\n\r\na-m\r\n--B--\r\n")
        refused_in_words(ask(g.port, form.encode(), ["Content-Type: multipart/form-data; boundary=B"], "/v1/audio/transcriptions"),
                         "/v1/audio/transcriptions", "api_base")
    wish(not a.requests and not an.requests and not ge.requests, "a refused request reached a provider")
    more = {name: there for name in ("baseUrl", "api_url", "endpoint", "host", "proxy", "Api_Base")}
    nested = {name: there for name in ("api_base", "base_url", "api_key", "server_url")}
    headers = [f"{name}: {there}" for name in ("x-base-url", "x-api-base", "helicone-target-url", "x-portkey-custom-host",
                                               "x-forwarded-host", "openai-api-base", "x-pointsman-base-url")]
    for sent, extra in ((more, []), ({"api_key": None}, headers), ({"metadata": nested, "tools": [nested], "extra_body": nested}, headers)):
        body = json.dumps({"model": "a-m", "messages": [], **sent}).encode()
        answer = ask(g.port, body, extra)
        wish(answer.status == 200, f"{answer.status} {answer.text()}")
        wish(a.requests[-1].body == body, f"the body was changed: {a.requests[-1].body}")
        got = a.requests[-1].header("authorization")
        wish(got == f"Bearer {a.key}", f"the provider was sent {got}")
    wish(evil.connections == 0, "a request chose its own upstream")
    answer = ask(g.port, {"model": "a-m", "messages": []}, [f"x-pointsman-route: {there}"])
    wish(answer.status >= 400 and evil.connections == 0, f"a route that is an address: {answer.status}")
    ends_well(g)


def t30_a_model_said_twice_passes_no_list_of_models(g):
    """T30: a key that may ask for one model can't hide another one in a body that passes unread."""
    a = answering("a")
    started(g, config([a], "keys:\n  ci: { secret: the-key-of-ci-0123456789, models: [a-m] }\n"))
    key = ["Authorization: Bearer the-key-of-ci-0123456789"]
    part = "--B\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"

    def form(*fields):
        body = "".join(part % f for f in fields) + "--B--\r\n"
        return ask(g.port, body.encode(), key + ["Content-Type: multipart/form-data; boundary=B"], "/v1/audio/transcriptions")
    right = form(('name="model"', "a-m"), ('name="file"; filename="a;name=model"', "x"))
    wish(right.status == 200, f"{right.status} {right.text()}")
    for head in ('name="model"', "name=model", "Name=model", "name*=UTF-8'en'model", 'filename=y; name="model"'):
        for answer in (form((head, "dear")), form(('name="model"', "a-m"), (head, "dear")), form((head, "dear"), ('name="model"', "a-m"))):
            wish(answer.status in (400, 403), f"{head}: {answer.status} {answer.text()}")
    for body in (b'{"model":"a-m","model":"dear","prompt":"x"}', b'{"model":"a-m","mod\\u0065l":"dear","prompt":"x"}',
                 b'{"model":"dear","prompt":"x",}', b'{"model":"dear","prompt":"x"', b'{"model":"dear","n":"1"}', b'{"n":"1","model":"dear"}',
                 b'{"model":"dear","x":' + b"[" * 300 + b"]" * 300 + b"}", b'[{"model":"dear"}]', b"model=dear"):
        for kind in ("Content-Type: application/json", "Content-Type: application/x+json", "Content-Type:", "Content-Type: text/plain"):
            answer = ask(g.port, body, key + [kind], "/v1/images/generations")
            wish(answer.status in (400, 403), f"{kind}, {body}: {answer.status} {answer.text()}")
    for kind in ("Content-Type: application/x+json", "Content-Type:", "Content-Type: text/plain"):
        answer = ask(g.port, b'{"model":"dear","prompt":"x"}', key + [kind], "/v1/images/generations")
        wish(answer.status == 403, f"{kind}: {answer.status} {answer.text()}")
    for head in ('x="a;name=foo"; name="model"', 'name; name="model"', 'name="file"; name="model"', 'name="mod\\el"', 'name="%6dodel"',
                 'name="file"; filename="a\\"; name="model"; x="'):
        answer = form(('name="model"', "a-m"), (head, "dear"))
        wish(answer.status == 400, f"{head}: {answer.status} {answer.text()}")
    wish(len(a.requests) == 1, f"{len(a.requests)} requests reached the provider")
    ends_well(g)


def t05_no_key_stands_in_proc(g):
    """T5: keys of the environment are gone from /proc/PID once the gateway answers."""
    planted = {"OPENAI_API_KEY": "sk-planted-openai-0123456789abcdef", "GROQ_API_KEY": "gsk_planted0123456789abcdef",
               "POINTSMAN_MASTER_KEY": "5a" * 32, "TEAM_KEY": "sk-pm-planted-by-reference-00112233"}
    g.env.update(planted)
    p = answering("a")
    started(g, config([p], "keys:\n  ci: { secret: env:TEAM_KEY }\n"))
    for name in ("environ", "cmdline"):
        try:
            with open(f"/proc/{g.process.pid}/{name}", "rb") as f:
                text = f.read()
        except PermissionError:  # of a process that may not be looked into: root's alone, also not its own user's
            text = b""
        for key, value in planted.items():
            wish(value.encode() not in text, f"{key} stands in /proc/PID/{name}")
    answer = ask(g.port, {"model": "a-m", "messages": []}, [f"Authorization: Bearer {planted['TEAM_KEY']}"])
    wish(answer.status == 200, f"the key of the environment is not taken: {answer.status} {answer.text()}")
    ends_well(g)


def t06_no_core_and_no_look_into_memory(g):
    """T6: no core file, and /proc/PID/mem is root's alone."""
    if os.getuid() != 0:
        raise tap.Skip("needs root, to be somebody else")
    os.chmod(g.folder, 0o755)
    os.makedirs(g.data, mode=0o700)
    os.chown(g.data, NOBODY, NOBODY)
    g.write_config(config([answering("a")]))
    os.chmod(g.config, 0o644)
    program = shutil.copy(gateway.BINARY, g.folder)  # the build may lie where only root may look
    binary = subprocess.Popen([program, "serve", "--config", g.config, "--data", g.data, "--listen", "127.0.0.1:0"],
                              cwd="/", env=g.env, user=NOBODY, group=NOBODY, extra_groups=[],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = binary.stdout.readline()
        if not line.startswith(b"listening"):
            raise tap.Skip("another user can't run it from here: " + binary.stderr.read().decode("utf-8", "replace")[:200])
        with open(f"/proc/{binary.pid}/limits", encoding="ascii") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        wish(core.split()[4:6] == ["0", "0"], core)
        for name in ("mem", "environ"):
            wish(os.stat(f"/proc/{binary.pid}/{name}").st_uid == 0, f"/proc/PID/{name} belongs to the gateway's user")
    finally:
        binary.terminate()
        binary.communicate(timeout=15)


def plant_trouble(canaries):
    """A provider that answers with the very key it was called with: in errors, in streams, in heads."""
    def block(_, link, request):
        key = (request.header("authorization") or "Bearer none")[7:]
        kind = json.loads(request.body).get("user", "")
        if kind == "event":
            link.stream_head()
            link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n')
            link.chunk(b'data: {"error":{"message":"key ' + key.encode() + b' is over its limit","type":"x"}}\n\n')
            link.send(b"0\r\n\r\n")
        elif kind == "first":
            link.stream_head()
            link.chunk(b'data: {"error":{"message":"key ' + key.encode() + b' refused","type":"invalid_request_error"}}\n\n')
            link.send(b"0\r\n\r\n")
        elif kind == "error":
            link.answer(400, "application/json", json.dumps({"error": {
                "message": f"Incorrect key provided: {key}", "code": key}}).encode())
        elif kind == "page":
            link.answer(500, "text/html", b"<p>" + key.encode())
        else:
            link.answer(200, "application/json", json.dumps({"id": "x", "model": "m", "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "you sent " + key}, "finish_reason": key}]}).encode())
    p = Provider("a")
    p.blocks, p.repeat = [block], True
    p.extra = ", api_keys: [" + ", ".join(f"env:CANARY_{i}" for i in range(len(canaries))) + "]"
    return p


# Where clients put what only they know: no value that we could look for.
UNKNOWN = "nobody-told-the-gateway-of-this-"
CARRIERS = ["x-goog-api-key", "api-key", "x-api-key", "Cookie", "Proxy-Authorization", "X-Auth-Token", "Ocp-Apim-Subscription-Key",
            "X-Amz-Security-Token", "Helicone-Auth", "X-Portkey-Api-Key", "CF-Access-Client-Secret", "X-My-ApiKey", "X-CSRF-Token",
            "Private-Token", "X-Slack-Signature", "X-Vault-Password"]


def t07_canaries_are_seen_nowhere(g):
    """T7: 30 planted keys, used and echoed in every way, are in no file, no log and nothing printed."""
    random.seed(20261)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    canaries = ["canary" + "".join(random.choice(letters) for _ in range(34)) for _ in range(30)]
    mine, providers_own = canaries[:6], canaries[6:]
    g.env.update({f"CANARY_{i}": c for i, c in enumerate(providers_own)})
    g.env.update({f"MINE_{i}": c for i, c in enumerate(mine)})
    keys = "".join(f"  k{i}: {{ secret: env:MINE_{i} }}\n" for i in range(len(mine)))
    started(g, config([plant_trouble(providers_own)], "capture: { bodies: all }\nkeys:\n" + keys))
    ids, client_saw = [], b""
    for i in range(60):
        own = mine[i % len(mine)]
        kind = ("event", "first", "error", "page", "plain")[i % 5]
        echo = providers_own[i % len(providers_own)] if i % 2 else own
        body = {"model": "a-m" if i % 7 else f"a/{echo}", "user": kind, "stream": kind in ("event", "first"),
                "messages": [{"role": "user", "content": f"my key is {own} and theirs {echo}"}]}
        unknown = UNKNOWN + f"{i:04d}"
        headers = [f"Authorization: Bearer {own}", f"User-Agent: tool {echo}", f"x-pointsman-session: {'s' * (i * 3)}-{echo}",
                   f"x-pointsman-tags: t:{echo}", *(f"{name}: {unknown}" for name in CARRIERS), f"x-team-note: {echo}",
                   f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{unknown}", f"Content-Disposition: form-data; filename={echo}"]
        answer = ask(g.port, body, headers, CHAT + (f"?key={own}" if i % 3 == 0 else ""))
        ids.append(answer.header("x-request-id"))
        if kind != "plain":  # its head may repeat the model that was asked for
            client_saw += answer.body
    for wrong in mine:  # nearly right
        client_saw += ask(g.port, {"model": "a-m", "messages": []}, [f"x-api-key: {wrong}x"]).raw
    for theirs in providers_own:
        wish(theirs.encode() not in client_saw, "a provider's key reached a client in an error")
    for own in mine:
        wish(own.encode() not in client_saw, "an error echoes the key that was offered")
    time.sleep(0.5)
    printed = ""
    for words in (["ps", "--json", "--limit", "500"], ["ps"], ["events"], ["events", "--json"], ["status"], ["audit"],
                  ["key", "list"], ["provider", "list"], ["provider", "list", "--json"], ["config", "export"],
                  ["config", "diff"], ["export"], ["tail", "--no-follow", "--limit", "500"], ["tail", "--no-follow", "--json"],
                  ["db", "backup", os.path.join(g.data, "copy")], ["config", "options"], ["prices", "list"], ["audit", "--json"], ["cost", "report", "--by", "session"], ["doctor"], ["route", "list"]):
        printed += "".join(str(part) for part in g.command(*words))
    for ident in ids[::3]:
        printed += g.command("show", ident, "--json")[1] + g.command("show", ident)[1]
    for text, where in ((printed, "what the command line prints"), (g.read_log(), "the log")):
        found = [c[:10] for c in [*canaries, UNKNOWN] if c in text]
        wish(not found, f"{len(found)} of 30 stand in {where}: {text[max(0, text.find(found[0]) - 300):][:600] if found else ''}")
    files = [f for f in glob.glob(g.data + "/**", recursive=True) if os.path.isfile(f)]
    wish(any("wal" in f or f.endswith(".db") for f in files), f"no database among {files}")
    for path in files:
        with open(path, "rb") as f:
            data = f.read()
        found = sum(c.encode() in data for c in [*canaries, UNKNOWN])
        at = next((data.find(c.encode()) for c in [*canaries, UNKNOWN] if c.encode() in data), 0)
        wish(not found, f"{found} of 31 stand in {os.path.basename(path)}: {data[max(0, at - 120):at + 20]!r}")
        halves = [c[:16] for c in canaries if c[:16].encode() in data]
        wish(not halves, f"halves stand in {os.path.basename(path)}: {halves}")
    ends_well(g)


PATTERNS = ["sk-proj-" + "aB3_" * 8, "gsk_" + "Zx9q" * 8, "xai-" + "m0N1" * 8, "AIza" + "S" * 35, "AKIA" + "Q7" * 8]


def in_pieces(secrets, go):
    """A stream that says each secret three times: whole, cut in the middle of an event, and four letters an event."""
    def event(text):
        return b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"' + text.encode() + b'"}}]}\n\n'

    def block(_, link, request):
        link.stream_head()
        link.chunk(event("these are "))
        go.wait(10)
        for secret in secrets:
            link.chunk(event(f"one {secret} end "))
            whole = event(f"two {secret} end ")
            middle = whole.index(secret.encode()) + 9
            link.chunk(whole[:middle])
            time.sleep(0.05)
            link.chunk(whole[middle:])
            link.chunk(event("three "))
            for at in range(0, len(secret), 4):
                link.chunk(event(secret[at:at + 4]))
            link.chunk(event(" end "))
        link.chunk(b"data: [DONE]\n\n")
        link.send(b"0\r\n\r\n")
    return block


def admin(g, path):
    """One GET of the admin API, to its end."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(os.path.join(g.data, "control.sock"))
        s.sendall(f"GET /admin/v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := s.recv(65536):
            got += piece
    return got.decode("utf-8", "replace")


def t07_pieces_of_a_secret_are_not_put_together(g):
    """T7: a secret that comes in pieces, or lies where a body is cut, is in no file and on no screen."""
    go, own = threading.Event(), "sk-the-providers-own-key-0123456789abcdef"
    secrets = [*PATTERNS, own]
    p = Provider("a")
    p.key, p.blocks, p.repeat = own, [in_pieces(secrets, go)], True
    started(g, config([p], "capture: { bodies: all, max_bytes: 20kB }\nopen_to: any\n"))
    client = Client(g.port)
    client.send(post(CHAT, json.dumps({"model": "a-m", "stream": True, "messages": [{"role": "user", "content": secrets[0]}]}).encode()))
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.sock.recv(4096)
    ident = re.search(rb"x-request-id: *(\w+)", head, re.I).group(1).decode()
    seen = []
    watching = threading.Thread(target=lambda: seen.append(admin(g, f"exchanges/{ident}/stream")))
    watching.start()
    time.sleep(0.3)
    go.set()
    while client.sock.recv(65536):
        pass
    client.sock.close()
    watching.join(20)
    wish(seen and "three " in seen[0] and "one sk-p" in seen[0], f"the stream was not watched: {seen}")
    time.sleep(1.2)
    whole = admin(g, f"exchanges/{ident}/messages")
    wish("three sk-p" in whole, f"the conversation is not put together: {whole[-1500:]}")
    cut = [ask(g.port, {"model": "a-m", "messages": [{"role": "user", "content": "x" * n + " " + secrets[0]}]}).header("x-request-id")
           for n in range(19915, 19955, 4)]  # the cut goes through the secret
    time.sleep(1.2)
    texts = {"the watched stream": seen[0], "Messages": whole, "the same in other words": admin(g, f"exchanges/{ident}/as/anthropic"),
             "show": g.command("show", ident)[1], "the log": g.read_log()}
    for path in glob.glob(g.data + "/*.db*"):
        with open(path, "rb") as f:
            texts[path] = f.read().decode("latin-1")
    for n, one in enumerate(cut):
        texts[f"a body that is cut ({n})"] = g.command("show", one, "--json")[1]
    wish(sum('"request_cut":true' in t or '"body_cut":true' in t for t in texts.values()) > 5, "no body was cut")
    for where, text in texts.items():
        for secret in secrets:
            wish(secret[:13] not in text, f"{secret[:8]}… stands in {where}: {text[max(0, text.find(secret[:13]) - 100):][:200]!r}")
    ends_well(g)


def t04_a_nearly_right_key_takes_as_long_as_a_wrong_one(g):
    """T4: Welch's t of 2 x 5,000 refusals (TIMING_ROUNDS) stays below 4.5. Both have the shape of a key: what has
    not is refused in other words and about 1 µs sooner, and the shape is no secret."""
    if SANITIZED:
        raise tap.Skip("times under a sanitizer say nothing")
    secret = "sk-pm-" + "Kq7" * 14
    g.env["ONE"] = secret
    started(g, config([answering("a")], "keys:\n  one: { secret: env:ONE }\n"))
    kinds = [secret[:-1] + "r", "sk-pm-" + "Xw3" * 14]
    requests = [f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {k}\r\n\r\n".encode() for k in kinds]
    for attempt in range(3):  # a busy machine may spoil one
        times, link = [[], []], socket.create_connection(("127.0.0.1", g.port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        order = [0, 1] * ROUNDS
        random.shuffle(order)
        for kind in order:
            begun = time.perf_counter_ns()
            link.sendall(requests[kind])
            answer = link.recv(65536)
            times[kind].append(time.perf_counter_ns() - begun)
            wish(b" 401 " in answer[:20], f"not refused: {answer[:80]!r}")
        link.close()
        kept = [sorted(t)[:ROUNDS * 9 // 10] for t in times]
        mean = [sum(t) / len(t) for t in kept]
        var = [sum((v - m) ** 2 for v in t) / (len(t) - 1) for t, m in zip(kept, mean)]
        t_value = abs(mean[0] - mean[1]) / math.sqrt(sum(v / len(t) for v, t in zip(var, kept)))
        if t_value < 4.5:
            break
    wish(t_value < 4.5, f"t = {t_value:.1f}: {mean[0]:.0f} ns against {mean[1]:.0f} ns")
    ends_well(g)


# ---- hostile texts ----

def t08_hostile_texts_change_no_table(g):
    """T8, T33: SQL, formats and formulas in every field that reaches the store: one row each, all tables there."""
    p = answering("a")
    started(g, config([p], "routes:\n  \"*\": { targets: [a/a-m] }\n"))
    sent = 0
    for text in HOSTILE:
        line = "".join(c for c in text if " " <= c < "\x7f")
        answer = ask(g.port, {"model": text, "user": text, "messages": [{"role": text, "content": text}]},
                     [f"x-pointsman-session: {line}", f"x-pointsman-tags: {line}", f"User-Agent: {line}",
                      f"Authorization: Bearer {line}"])
        wish(answer.status in (200, 400, 404), f"{text!r}: {answer.status} {answer.text()[:200]}")
        sent += 1
    time.sleep(0.3)
    before = len(g.records())
    wish(before == sent, f"{sent} requests left {before} records")
    for text in HOSTILE:
        if "\0" in text:
            continue
        for words in (["ps", "--filter", text], ["ps", "--filter", f"model:\"{text}\""], ["show", text], ["cancel", text],
                      ["cost", "report", "--by", text], ["key", "add", text], ["profile", "save", text],
                      ["events", "--filter", text]):
            code, _, err = g.command(*words)
            wish(code in (0, 1, 2, 3, 4, 5, 6, 64, 65), f"{words} ended with {code}: {err[:200]}")
    wish(len(g.records()) == before, "a search changed the number of records")
    code, out, err = g.command("db", "check")
    wish(code == 0, f"db check: {out} {err}")
    code, out, _ = g.command("cost", "report", "--by", "session", "--csv")
    wish(code == 0, "no report")
    for cell in out.split('"'):
        wish(not cell.startswith(("=cmd", "@", "+", "-c")), f"a cell that a spreadsheet would run: {cell!r}")
    ends_well(g)


def hold(port, head, seconds):
    """200 who begin a request and go on by a byte now and then; gives how many are still there after so long."""
    links = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(200)]
    until, at = time.monotonic() + seconds, 0
    for link in links:
        link.setblocking(False)
    while links and time.monotonic() < until:
        for link in list(links):
            try:
                link.send(head[at % len(head):at % len(head) + 1])
                if link.recv(4096) == b"":
                    links.remove(link)
            except BlockingIOError:
                pass
            except OSError:
                links.remove(link)
        at += 1
        time.sleep(0.25)
    left = len(links)
    for link in links:
        link.close()
    return left


def long_stream(_, link, __):
    link.may_break = True
    link.stream_head()
    for _ in range(2000):
        link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 4000 + b'"}}]}\n\n')


def t14_drips_and_those_who_do_not_read_slow_nobody(g):
    """T14: 200 heads that come by the byte are gone after 10 s; beside them and 100 who do not read their streams the
    others are answered as ever, and memory stays flat."""
    a, b = answering("a"), Provider("b")
    b.blocks, b.repeat = [long_stream], True
    started(g, config([a, b]))
    alone_ms = sorted(one_ask_ms(g.port) for _ in range(40))
    deaf = []
    for _ in range(100):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", g.port))
        link.sendall(post(CHAT, b'{"model":"b-m","stream":true,"messages":[]}'))
        deaf.append(link)
    left = []
    dripping = threading.Thread(target=lambda: left.append(hold(
        g.port, b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"y" * 4000, 14)))
    dripping.start()
    full, before, times = time.monotonic() + 6, 0, []  # by then every deaf client has what is held for it at most
    while dripping.is_alive():
        times.append(one_ask_ms(g.port))
        if not before and time.monotonic() > full:
            before = rss_kib(g.process.pid)
        time.sleep(0.02)
    dripping.join()
    grown = rss_kib(g.process.pid) - before
    times.sort()
    for link in deaf:
        link.close()
    wish(left == [0], f"{left[0]} of 200 drips are still open after 14 s")
    wish(len(times) > 100, f"only {len(times)} requests were answered beside them")
    wish(times[len(times) // 2] < 50 + 5 * alone_ms[len(alone_ms) // 2], f"half of the others waited {times[len(times) // 2]:.0f} ms and more")
    wish(times[-1] < 5000, f"one of the others waited {times[-1]:.0f} ms")
    wish(SANITIZED or grown < 8192, f"memory grew by {grown} KiB")
    ends_well(g)


def one_ask_ms(port):
    begun = time.monotonic()
    answer = ask(port, {"model": "a-m", "messages": []})
    wish(answer.status == 200, f"{answer.status} {answer.text()}")
    return (time.monotonic() - begun) * 1000


def t16_a_bomb_leaves_memory_flat(g):
    """T16: 200 MB in 200 kB of gzip: an error, and the process stays small."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(200)) + packer.flush()
    p = Provider("a")
    p.blocks, p.repeat = [lambda _, link, __: link.answer(200, "application/json", body, ["Content-Encoding: gzip"])], True
    started(g, config([p]))
    ask(g.port, {"model": "a-m", "messages": []})
    before = rss_kib(g.process.pid)
    for _ in range(3):
        answer = ask(g.port, {"model": "a-m", "messages": []})
        wish(answer.status == 502 or not answer.complete, f"it passed: {answer.status}, {len(answer.body)} bytes")
    grown = rss_kib(g.process.pid) - before
    wish(grown < (200 << 10 if SANITIZED else 24 << 10), f"grown by {grown} KiB")
    ends_well(g)


# ---- many at once, and few descriptors ----

def t31_the_excess_gets_503_and_the_rest_streams_on(g):
    """T31: one and a half times the connections that are allowed: the excess is told, the rest is served."""
    def block(_, link, __):
        link.stream_head()
        link.may_break = True
        for _ in range(40):
            link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')
            time.sleep(0.05)
        link.chunk(b"data: [DONE]\n\n")
        link.send(b"0\r\n\r\n")
    p = Provider("a")
    p.blocks, p.repeat = [block], True
    started(g, config([p], "limits: { connections: 64 }\n"))
    clients, statuses = [], []
    for _ in range(96):
        client = Client(g.port)
        client.send(post(CHAT, b'{"model":"a-m","stream":true,"messages":[]}'))
        clients.append(client)
        time.sleep(0.003)
    for client in clients:
        answer = client.read()
        statuses.append(answer.status)
        if answer.status == 200:
            wish(answer.complete and "[DONE]" in answer.text(), "a stream under the cap was cut")
        else:
            wish(answer.status == 503 and answer.header("retry-after"), f"{answer.status} without Retry-After")
        client.sock.close()
    wish(statuses.count(503) >= 16, f"{statuses.count(503)} of 96 got 503")
    wish(statuses.count(200) >= 32, f"only {statuses.count(200)} of 96 were served")
    wish(ask(g.port, {"model": "a-m", "stream": True, "messages": []}).status == 200, "it serves nobody afterwards")
    ends_well(g)


def few_descriptors(g, limit):
    p = answering("a")
    g.write_config(config([p]))
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    g.start_with = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    popen = subprocess.Popen
    try:
        subprocess.Popen = lambda *a, **k: popen(*a, preexec_fn=g.start_with, **k)
        try:
            g.start()
        except Fault as fault:  # too few to run at all: said in words
            wish(limit < 128 and "open files" in str(fault), str(fault))
            return
    finally:
        subprocess.Popen = popen
    wish(resource.getrlimit(resource.RLIMIT_NOFILE) == old, "the test's own limit")
    clients = []
    for _ in range(limit * 2):
        try:
            client = Client(g.port)
            client.sock.settimeout(0.2)
            client.send(post(CHAT, b'{"model":"a-m","messages":[]}'))
            clients.append(client)
        except OSError:
            break
    time.sleep(1)
    wish(g.process.poll() is None, f"it died with {g.process.returncode}: {g.read_log()[-600:]}")
    for client in clients:
        client.sock.close()
    until = time.monotonic() + 10
    while True:
        try:
            wish(ask(g.port, {"model": "a-m", "messages": []}).status == 200, "not served after the flood")
            break
        except (Fault, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
    ends_well(g, errors_allowed=True)


def t32_256_descriptors_are_enough_to_live(g):
    """T32: a flood against 256 descriptors: no crash, and service afterwards."""
    few_descriptors(g, 256)


def t32_64_descriptors_end_in_words_or_in_service(g):
    """T32: 64 descriptors: it serves, or says at once that they are too few."""
    few_descriptors(g, 64)


def restless(seed):
    """A provider that streams, cuts, stalls, errs and waits, in an order of its own."""
    dice = random.Random(seed)

    def block(_, link, request):
        link.may_break = True
        what, pause = dice.choice(("whole", "stream", "stream", "cut", "stall", "429", "500", "first", "reset")), dice.random() / 8
        time.sleep(pause)
        if what == "429":
            return link.answer(429, "application/json", b'{"error":{"message":"slow down"}}', ["Retry-After: 0"])
        if what == "500":
            return link.answer(500, "text/plain", b"oh")
        if what == "reset":
            return link.reset()
        if what == "whole":
            return link.answer(200, "application/json", b'{"id":"x","choices":[],"usage":{"prompt_tokens":3,'
                               b'"completion_tokens":2,"total_tokens":5}}')
        link.stream_head()
        if what == "first":
            link.chunk(b'data: {"error":{"message":"no","type":"invalid_request_error"}}\n\n')
            return link.send(b"0\r\n\r\n")
        for i in range(dice.randrange(1, 6)):
            link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"' + b"y" * 40 + b'"}}]}\n\n')
            time.sleep(pause / 3)
        if what == "cut":
            return link.close()
        if what == "stall":
            return time.sleep(0.7)
        link.chunk(b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12}}\n\n')
        link.chunk(b"data: [DONE]\n\n")
        return link.send(b"0\r\n\r\n")
    p = Provider(f"p{seed}")
    p.blocks, p.repeat = [block], True
    p.extra = ", max_concurrent: 4, max_wait: 1s, timeouts: { idle: 400ms, first_token: 600ms, headers: 600ms }"
    return p


def one_restless_client(port, dice, count, key):
    for _ in range(count):
        client = Client(port)
        try:
            body = {"model": dice.choice(("go", "read", "part")), "stream": dice.random() < 0.7, "max_tokens": 50,
                    "messages": [{"role": "user", "content": "z" * dice.choice((10, 1000, 400000))}]}
            client.send(post(CHAT, json.dumps(body).encode(), [f"Authorization: Bearer {key}"]))
            how = dice.choice(("read", "read", "close", "reset", "half"))
            if how == "read":
                client.sock.settimeout(10)
                client.read()
            else:
                time.sleep(dice.random() / 4)
                client.hang_up(how)
                time.sleep(0.02 if how == "half" else 0)
        except (OSError, Fault):
            pass
        finally:
            client.sock.close()


def t31_what_was_taken_comes_back(g):
    """T31: places, reservations, memory and slots are all free after clients and providers left in every order."""
    providers = [restless(1), restless(2)]
    key = "sk-pm-restless-restless-restless1"
    g.env["K"] = key
    more = ("routes:\n" + "".join(
        f"  {name}: {{ targets: [p1/p1-m, p2/p2-m], disconnect: {policy} }}\n"
        for name, policy in (("go", "cancel"), ("read", "finish"), ("part", "\"drain:200\""))) +
        "prices:\n  \"p1/*\": { input: 1, output: 2 }\n  \"p2/*\": { input: 2, output: 4 }\n"
        "keys:\n  one: { secret: env:K, budget: 1000/month }\n")
    started(g, config(providers, more))
    threads = [threading.Thread(target=one_restless_client, args=(g.port, random.Random(i), 25, key)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until, left = time.monotonic() + 10, None
    while time.monotonic() < until:
        client = Client(g.port)
        client.send(f"GET /v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        usage = client.read().json()
        client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        memory = next(line.split()[1] for line in client.read().text().splitlines()
                      if line.startswith("pointsman_memory_bytes "))
        client.sock.close()
        running = [r["id"] for r in g.records(2000) if r["state"] != "done"]
        reserved = sum(w["reserved_nano"] for w in usage["windows"])
        left = (running, reserved, usage["running"], int(memory))
        if left == ([], 0, 0, 0):
            break
        time.sleep(0.2)
    wish(left == ([], 0, 0, 0), f"running {left[0]}, reserved {left[1]} nano, {left[2]} count as running, {left[3]} bytes")
    spent = next(w["spent_nano"] for w in usage["windows"] if w["window"] == "month")  # a minute may end in between
    recorded = sum(r["cost_nano"] for r in g.records(2000))
    wish(spent > 0, "nothing was charged")
    wish(spent == recorded, f"the key spent {spent}, its records say {recorded}")
    code, out, err = g.command("db", "check")
    wish(code == 0, f"db check: {out} {err}")
    for p in providers:  # every place can be taken again
        p.blocks = [lambda _, link, __: link.answer(200, "application/json", b'{"id":"x","choices":[]}')]
    g.command("provider", "clear", "p1")
    g.command("provider", "clear", "p2")
    for model in ("p1/p1-m", "p2/p2-m") * 5:
        answer = ask(g.port, {"model": model, "max_tokens": 5, "messages": []}, [f"Authorization: Bearer {key}"])
        wish(answer.status == 200, f"{model}: {answer.status} {answer.text()}")
    ends_well(g, errors_allowed=True)


# ---- doors ----

def refuses(g, words, *texts):
    command = [gateway.BINARY, "serve", "--config", g.config, "--data", g.data, *words]
    done = subprocess.run(command, cwd=g.folder, env=g.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=20)
    said = done.stderr.decode("utf-8", "replace")
    wish(done.returncode != 0, f"{words}: it started")
    for text in texts:
        wish(text in said, f"{words}: it says {said!r}, not {text!r}")


def t22_planted_sockets_and_links_are_not_followed(g):
    """T22: a link, a file or another gateway at the socket's place: refused, and left as it was."""
    victim, place = os.path.join(g.folder, "victim"), os.path.join(g.folder, "door")
    with open(victim, "w", encoding="ascii") as f:
        f.write("mine")
    g.write_config(config([answering("a")]))
    os.symlink(victim, place)
    refuses(g, ["--listen", "127.0.0.1:0", "--socket", place], "no socket")
    wish(os.path.islink(place) and open(victim, encoding="ascii").read() == "mine", "the link or its target changed")
    os.unlink(place)
    g.start(["--socket", place])
    wish(stat.S_IMODE(os.lstat(place).st_mode) & 0o077 == 0, "others may connect")
    refuses(g, ["--listen", "127.0.0.1:0"], "")  # the same data folder
    other, g.data = g.data, g.data + "-2"
    refuses(g, ["--listen", "127.0.0.1:0", "--socket", place], "gateway")  # another folder, the same socket
    g.data = other
    code, _, err = g.command("--socket", place, "status")
    wish(code == 0, f"the first one is not reached any more: {err}")
    ends_well(g)
    if not os.path.exists(place):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(place)
        dead.close()
    g.start(["--socket", place])  # a stale one is ours to remove
    ends_well(g)


def t25_an_open_port_needs_a_key_and_a_word(g):
    """T25: on a network address: not without a key, not in clear text unless that is said."""
    g.env["K"] = "sk-pm-a-key-that-was-made-by-hand-1"
    g.write_config(config([answering("a")]))
    refuses(g, ["--listen", "0.0.0.0:0"], "no key is defined")
    refuses(g, ["--listen", "[::]:0"], "no key is defined")
    g.write_config(config([answering("a")], "keys:\n  one: { secret: env:K }\n"))
    refuses(g, ["--listen", "0.0.0.0:0"], "allow_plaintext")


def t34_the_binary_is_hardened(_):
    """T34: position independent, read-only relocations, stack protector, fortified."""
    if SANITIZED:
        raise tap.Skip("a debug build")
    try:
        text = subprocess.run(["readelf", "-hldW", "--dyn-syms", gateway.BINARY], stdout=subprocess.PIPE,
                              check=True).stdout.decode("ascii", "replace")
    except OSError:
        raise tap.Skip("readelf is not here") from None
    for need in ("DYN (", "GNU_RELRO", "BIND_NOW", "__stack_chk_fail", "_chk@"):
        wish(need in text, f"{need} is missing")
    for row in text.splitlines():
        wish("GNU_STACK" not in row or "RWE" not in row, "the stack may be executed")


def alone(check):
    g, begun = gateway.Gateway(), time.monotonic()
    try:
        check(g)
        return f"{time.monotonic() - begun:.1f} s"
    finally:
        g.remove()


def main():
    if not gateway.present():
        print("not ok 1 - build/pointsman serve is not there")
        return 1
    return tap.run(tap.numbered(globals(), "t", alone))


if __name__ == "__main__":
    sys.exit(main())
