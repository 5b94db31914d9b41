#!/usr/bin/env python3
"""Hostile texts (torture/ of tests/fixtures and of ../shared) through a running gateway: Host and Origin,
header values both ways, paths, names of profiles and keys, request bodies, naughty strings in every field.
Prints TAP."""
import glob
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, data, post  # noqa: E402

CHAT = "/v1/chat/completions"
WHOLE = b'{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],' \
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'


def torture(*parts):
    """The files of both places that this pattern names."""
    return [path for top in data("torture") for path in sorted(glob.glob(os.path.join(top, *parts)))]


def read(*parts):
    """The text of each place."""
    for path in torture(*parts):
        with open(path, "rb") as f:
            yield f.read()


def wish(right, text):
    if not right:
        raise Fault(text)


class Bench:
    def __init__(self):
        self.provider, self.value = Provider("a"), None
        self.provider.blocks, self.provider.repeat = [self.play], True
        self.g = gateway.Gateway()
        p = self.provider
        self.g.write_config(f"workers: 1\ncapture: {{ bodies: all }}\nproviders:\n  a: {{ dialect: openai, base_url: \"{p.url}\", "
                            f"api_key: \"{p.key}\", models: [m], ask_usage: no }}\nroutes:\n  \"*\": {{ targets: [a/$model] }}\n")
        self.g.start()

    def play(self, _, link, request):
        self.seen = request
        if self.value is None:
            link.answer(200, "application/json", WHOLE)
        else:
            link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Odd: " + self.value +
                      b"\r\nContent-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE)

    def raw(self, data):
        """The answer, or None when the connection ends without one."""
        client = Client(self.g.port)
        self.seen = None
        try:
            client.send(data)
            answer = client.read()
            return answer if answer.status else None
        except (OSError, ValueError):
            return None
        finally:
            client.sock.close()

    def sound(self, what):
        wish(self.g.process.poll() is None, f"{what}: the gateway ended: {self.g.read_log()[-300:]}")
        answer = self.raw(post(CHAT, b'{"model":"m","messages":[]}'))
        wish(answer and answer.status == 200, f"{what}: the next request is not served")

    def end(self):
        self.g.stop()
        faults = self.g.judge_log()
        wish(not faults, "; ".join(faults))

    def remove(self):
        self.g.remove()
        self.provider.stop()


def verdicts(name, port):
    for line in b"\n".join(read("inject", name)).decode().splitlines():
        text, _, verdict = line.partition("\t")
        if verdict:
            yield text.replace("PORT", str(port)), verdict


def hosts_get_their_verdict(b):
    for host, verdict in verdicts("hosts.tsv", b.g.port):
        answer = b.raw(f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        status = answer.status if answer else 0
        allowed = {"allow": (200,), "403": (403,), "400": (400,)}.get(verdict, (200, 403))
        wish(status in allowed, f"Host {host!r}: {status}, not {verdict}")


def origins_get_their_verdict(b):
    for origin, verdict in verdicts("origins.tsv", b.g.port):
        head = "" if origin == "(absent)" else f"Origin: {origin}\r\n"
        answer = b.raw(f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{b.g.port}\r\n{head}\r\n".encode())
        wish(answer and answer.status == (200 if "allow" in verdict else 403), f"Origin {origin!r}: {answer and answer.status}")
        wish(answer.header("access-control-allow-origin") is None, f"Origin {origin!r} is told that it may read")


def header_values_make_no_other_header(b):
    for value in [value for text in read("inject", "header_values.json") for value in json.loads(text)]:
        for name in ("X-Odd", "x-pointsman-session", "x-pointsman-tags", "User-Agent", "x-pointsman-route"):
            if name == "x-pointsman-route" and len(value) > 20:
                continue
            answer = b.raw(f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\n{name}: ".encode() + value.encode("utf-8", "surrogatepass")
                           + b'\r\nContent-Length: 27\r\n\r\n{"model":"m","messages":[]}')
            if b.seen is None:
                wish(answer is None or answer.status >= 400, f"{name}: {value[:40]!r} was answered with {answer.status}")
                continue
            odd = b.seen.header("x-evil")  # a line of its own in the request is the client's own header
            wish(odd is None or "\n" in value, f"{name}: {value[:40]!r} became a header at the provider")
            for _, sent in b.seen.headers:
                wish(not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", sent), f"{name}: {value[:40]!r} reached the provider raw")
        b.value = value.encode("utf-8", "surrogatepass")
        answer = b.raw(post(CHAT, b'{"model":"m","messages":[]}'))
        b.value = None
        wish(answer is not None, f"an answer with {value[:40]!r} was not answered")
        for _, got in answer.headers:
            wish(not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", got), f"{value[:40]!r} reached the client raw")
        b.sound(repr(value[:40]))


def paths_inject_nothing(b):
    lines = [line for line in b"\n".join(read("inject", "patt_crlf.txt")).decode("utf-8", "surrogateescape").splitlines() if line]
    for line in lines:
        for path in (line, "/v1/files" + line, "/s/" + line.lstrip("/") + "/v1/models", f"/v1/models?x={line}"):
            answer = b.raw(b"GET " + path.encode("utf-8", "surrogateescape") + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for name, value in answer.headers if answer else ():
                wish("crlf" not in name + value and "injection" not in name + value, f"{path!r} put {name}: {value} into the answer")
            if b.seen:
                wish(not any("crlf" in n + v for n, v in b.seen.headers), f"{path!r} put a header into the request")
    b.sound("paths")


def names_name_no_file(b):
    before = set(glob.glob(b.g.folder + "/**", recursive=True)) | set(os.listdir("/etc"))
    for name in [name for text in read("inject", "names.json") for name in json.loads(text)]:
        if not name or "\0" in name:
            continue
        for words in (["profile", "save"], ["profile", "apply"], ["key", "add"], ["key", "show"], ["show"], ["export"], ["route", "show"],
                      ["route", "undo", "--rev"], ["cost", "report", "--since"], ["export", "--format"], ["help"], ["tail", "--limit"], ["route", "explain"]):
            code, out, err = b.g.command(*words, "--dry-run", name) if words == ["key", "add"] else b.g.command(*words, name)
            wish(code in (0, 1, 2), f"{words} {name!r} ended with {code}: {err[:200]}")
            wish("\x1b" not in out + err, f"{words} {name!r} prints an escape")
    after = set(glob.glob(b.g.folder + "/**", recursive=True)) | set(os.listdir("/etc"))
    new = [f for f in after - before if "/spool/" not in f and not f.endswith(("-wal", "-shm", "-journal"))]
    wish(not new, f"files were made: {new}")
    b.sound("names")


def bodies_pass_as_they_are_or_not_at_all(b):
    """What goes to the provider is what came, byte for byte, when the model needs no other name."""
    passed = 0
    for path in torture("requests", "*") + torture("json", "transform", "*"):
        with open(path, "rb") as f:
            body = f.read()
        answer = b.raw(post(CHAT, body))
        wish(answer is not None, f"{os.path.basename(path)}: no answer")
        wish(answer.status == 200 or 400 <= answer.status < 500, f"{os.path.basename(path)}: {answer.status}")
        if answer.status != 200:
            wish("message" in json.loads(answer.body)["error"], f"{os.path.basename(path)}: {answer.text()[:200]}")
        elif b.seen:
            wish(b.seen.body == body, f"{os.path.basename(path)} was changed on its way: {b.seen.body[:200]!r}")
            passed += 1
    wish(passed > 5, f"only {passed} passed")
    b.sound("bodies")


def naughty_strings_are_kept_as_they_are(b):
    sent = 0
    for path in torture("strings", "blns", "*.json"):
        with open(path, encoding="utf-8") as f:
            texts = json.load(f)
        for text in texts:
            line = "".join(c for c in text if c >= " " and c != "\x7f").strip().encode("utf-8", "replace")[:300]
            body = json.dumps({"model": text[:100] or "m", "user": text, "messages": [{"role": "user", "content": text}]}).encode()
            answer = b.raw(b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: " + line + b"\r\nx-pointsman-tags: "
                           + line + b"\r\nx-pointsman-session: " + line + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            wish(answer and (answer.status == 200 or 400 <= answer.status < 500), f"{text[:60]!r}: {answer and answer.status}")
            sent += answer.status == 200
    time.sleep(1.2)
    code, out, err = b.g.command("tail", "--no-follow", "--limit", "100000", "--json")
    rows = [json.loads(line) for line in out.split("\n") if line]  # each is JSON on a line of its own
    wish(code == 0 and sum(r["status"] == 200 for r in rows) == sent, f"{sent} served, {len(rows)} rows: {err[:200]}")
    for words in (["ps", "--limit", "1000"], ["tail", "--no-follow", "--limit", "100000"], ["cost", "report", "--by", "session"]):
        code, out, err = b.g.command(*words)
        odd = re.search("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]", out)
        wish(code == 0 and not odd, f"{words} prints {odd and odd.group()!r} {err[:200]}")
    code, out, _ = b.g.command("db", "check")
    wish(code == 0, f"db check: {out}")


CHECKS = [hosts_get_their_verdict, origins_get_their_verdict, header_values_make_no_other_header, paths_inject_nothing,
          names_name_no_file, bodies_pass_as_they_are_or_not_at_all, naughty_strings_are_kept_as_they_are]


def alone(check):
    b = Bench()
    try:
        check(b)
        b.end()
    finally:
        b.remove()


def main():
    return tap.run([tap.test(alone, check, name=tap.named(check)) for check in CHECKS])


if __name__ == "__main__":
    sys.exit(main())
