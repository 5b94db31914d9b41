#!/usr/bin/env python3
"""A short life under valgrind: every kind of request once, the admin API, a reload, a drain. No invalid read,
nothing that depends on uninitialised memory, nothing definitely lost. Skipped where valgrind is not
installed or the build has sanitizers. Prints TAP."""
import os
import re
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import fault  # noqa: E402
import gateway  # noqa: E402
import tap  # noqa: E402
from peers import EVENTS, WHOLE, Client, Fault, Provider, post  # noqa: E402

KEY = "valgrind-key-0123456789abcdef"
AUTH = [f"Authorization: Bearer {KEY}"]


def play(_, link, request):
    if b'"bad"' in request.body:
        link.answer(500, "application/json", b'{"error":{"message":"down"}}')
    elif b'"cut"' in request.body:
        link.stream_head()
        link.chunk(EVENTS[:90])
        link.close()
    elif b'"stream":true' in request.body:
        link.may_break = True
        link.stream_head()
        link.chunk(EVENTS)
        link.send(b"0\r\n\r\n")
    else:
        link.answer(200, "application/json", WHOLE)


def ask(g, path, body, headers=()):
    client = Client(g.port)
    client.sock.settimeout(60)
    client.send(post(path, body, [*AUTH, *headers]))
    answer = client.read()
    client.sock.close()
    return answer.status


def raw(g, data):
    client = Client(g.port)
    client.sock.settimeout(60)
    client.send(data)
    answer = client.read()
    client.sock.close()
    return answer.status


def a_life(g):
    chat, messages = "/v1/chat/completions", "/v1/messages"
    seen = [ask(g, chat, b'{"model":"a/m","max_tokens":9,"messages":[]}'),
            ask(g, chat, b'{"model":"a/m","max_tokens":9,"stream":true,"messages":[]}'),
            ask(g, chat, b'{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'),
            ask(g, chat, b'{"model":"a/cut","max_tokens":9,"stream":true,"messages":[]}'),
            ask(g, messages, b'{"model":"a/m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'),
            ask(g, messages, b'{"model":"a/m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'),
            ask(g, "/v1beta/models/m:generateContent", b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}],'
                b'"generationConfig":{"maxOutputTokens":9}}')]
    if seen != [200] * 7:
        raise Fault(f"answered with {seen}")
    for status, data in ((400, b"GET /v1/models HTTP/1.1\r\n\r\n"), (401, b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
                         (400, b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + KEY.encode() +
                          b"\r\nContent-Length: 1\r\n\r\n{"), (404, b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")):
        got = raw(g, data)
        if got != status:
            raise Fault(f"{data[:40]!r} was answered with {got}, not {status}")
    client = Client(g.port)
    client.send(post(chat, b'{"model":"a/m","max_tokens":9,"stream":true,"messages":[]}', AUTH))
    client.hang_up("reset")
    client.sock.close()
    for words in (["status"], ["ps"], ["route", "list"], ["route", "switch", "fast", "a/n"], ["route", "undo"], ["key", "list"],
                  ["provider", "test", "a"], ["provider", "detect"], ["config", "export"], ["cost", "report"], ["events"],
                  ["export"], ["db", "check"]):
        code, _, err = g.command(*words, seconds=60)
        if code != 0 and words[-1] != "a":
            raise Fault(f"{words}: {code} {err}")
    g.signal(signal.SIGHUP)
    time.sleep(1)
    if ask(g, chat, b'{"model":"a/m","max_tokens":9,"messages":[]}') != 200:
        raise Fault("after a reload nothing is answered")


def judged(report):
    with open(report, encoding="utf-8", errors="replace") as f:
        text = f.read()
    lost = re.search(r"definitely lost: ([\d,]+) bytes", text)
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    if not errors:
        raise Fault("valgrind told nothing: " + text[-500:])
    if int(errors.group(1)) or (lost and lost.group(1) != "0"):
        raise Fault(text[:3000])


def a_short_life_under_valgrind():
    g, p = gateway.Gateway(), Provider("a")
    p.blocks, p.repeat = [play], True
    report = os.path.join(g.folder, "report")
    g.prefix = ("valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
                "--num-callers=30", "-s", f"--log-file={report}")
    g.env["K"] = KEY
    g.write_config(f"workers: 1\nkeys:\n  one: {{ secret: env:K, budget: {{ total: $100 }} }}\nproviders:\n  a: {{ dialect: openai, "
                   f"base_url: \"{p.url}\", api_key: \"{p.key}\", models: [m, bad, cut, n] }}\n"
                   "routes:\n  fast: { targets: [a/bad, a/m] }\nprices:\n  \"*\": { input: 1, output: 2 }\n")
    try:
        g.start()
        a_life(g)
        g.signal(signal.SIGTERM)
        g.wait_end(60)
        judged(report)
    finally:
        g.remove()
        p.stop()


def main():
    usable = gateway.present() and fault.usable() and shutil.which("valgrind")
    return tap.run([tap.test(a_short_life_under_valgrind)], None if usable else "needs valgrind and a release build")


if __name__ == "__main__":
    sys.exit(main())
