#!/usr/bin/env python3
"""Without memory: in each of twelve scenarios the first, second, third … allocation of the gateway fails,
once, and then that one and all after it. After each the process lives, the next request is answered, and at
the end the ledger agrees. MEMORY_STEPS=N points a scenario (12; 0: until the scenario has no more).
Prints TAP; one line for each scenario and way of failing."""
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import fault  # noqa: E402
import gateway  # noqa: E402
import tap  # noqa: E402
from peers import EVENTS, WHOLE, Client, Fault, Provider, post  # noqa: E402

STEPS = int(os.environ.get("MEMORY_STEPS", "12"))
KEY = "memory-key-0123456789abcdef"
CHAT = "/v1/chat/completions"
# Where one failed allocation in a library ends the process, whoever calls it: libcurl 7.88 leaves an entry
# of its socket table half made (multi.c, sh_addentry), and divides by zero at the next lookup.
KNOWN = {("libcurl.so.4", signal.SIGFPE)}


def play(_, link, request):
    """A stream when asked for one, an error to the model `bad`, else a whole answer."""
    if b'"bad"' in request.body:
        link.answer(500, "application/json", b'{"error":{"message":"down"}}')
    elif b'"stream":true' in request.body:
        link.may_break = True
        link.stream_head()
        link.chunk(EVENTS)
        link.send(b"0\r\n\r\n")
    else:
        link.answer(200, "application/json", WHOLE)


class Bench:
    """A gateway that may have to be started again, and its provider."""

    def __init__(self):
        self.provider = Provider("a")
        self.provider.blocks, self.provider.repeat = [play], True
        self.g = fault.Gateway()
        self.g.env["K"] = KEY
        p = self.provider
        self.g.write_config(
            f"workers: 1\nkeys:\n  one: {{ secret: env:K, rpm: 1000000, budget: {{ total: $100000 }} }}\nproviders:\n"
            f"  a: {{ dialect: openai, base_url: \"{p.url}\", api_key: \"{p.key}\", models: [m, bad, n],\n"
            "       timeouts: { headers: 3s, first_token: 3s, idle: 3s } }\n"
            "routes:\n  fast: { targets: [a/bad, a/m] }\n  claude: { targets: [a/m] }\n"
            "prices:\n  \"*\": { input: 1, output: 2 }\n")
        self.start()

    def start(self):
        self.g.control.calm()
        self.g.start()

    def ask(self, body, path=CHAT, headers=(), seconds=6.0):
        client = Client(self.g.port)
        client.sock.settimeout(seconds)
        try:
            client.send(post(path, body, [f"Authorization: Bearer {KEY}", *headers]))
            return client.read()
        finally:
            client.sock.close()

    def admin(self, method, path, body=b""):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(6)
            s.connect(os.path.join(self.g.data, "control.sock"))
            s.sendall(f"{method} /admin/v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            got = b""
            while piece := s.recv(65536):
                got += piece
            return got

    def sound(self):
        """The next request is answered, within what a breaker or a pause of the listener may take."""
        until = time.monotonic() + 8
        while True:
            try:
                answer = self.ask(b'{"model":"a/m","max_tokens":9,"messages":[]}', seconds=4)
                if answer.status == 200 and answer.body == WHOLE:
                    return
                said = f"{answer.status} {answer.text()[:200]}"
            except (OSError, Fault) as error:
                said = str(error)
            if self.g.process.poll() is not None or time.monotonic() > until:
                raise Fault(f"a request afterwards is not answered: {said}")
            self.g.command("provider", "clear", "a")
            time.sleep(0.05)


def leave(b):
    client = Client(b.g.port)
    client.send(post(CHAT, b'{"model":"a/m","stream":true,"max_tokens":9,"messages":[]}', [f"Authorization: Bearer {KEY}"]))
    client.sock.settimeout(2)
    client.sock.recv(200)
    client.hang_up("reset")
    client.sock.close()


def chunked(b):
    piece = b'{"model":"a/m","max_tokens":9,"messages":[],"pad":"' + b"x" * 300000 + b'"}'
    client = Client(b.g.port)
    client.sock.settimeout(6)
    client.send(f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
                f"Transfer-Encoding: chunked\r\n\r\n{len(piece):x}\r\n".encode() + piece + b"\r\n0\r\n\r\n")
    client.read()
    client.sock.close()


def reload(b):
    with open(b.g.config, "a", encoding="utf-8") as f:
        f.write("# again\n")
    b.g.signal(signal.SIGHUP)
    time.sleep(0.03)


SCENARIOS = [
    ("a whole answer", lambda b: b.ask(b'{"model":"a/m","max_tokens":9,"messages":[]}')),
    ("a stream", lambda b: b.ask(b'{"model":"a/m","stream":true,"max_tokens":9,"messages":[]}')),
    ("a failover", lambda b: b.ask(b'{"model":"fast","max_tokens":9,"messages":[]}')),
    ("an upload in chunks", chunked),
    ("a client that leaves", leave),
    ("a translated stream", lambda b: b.ask(
        b'{"model":"claude","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}', "/v1/messages")),
    ("a refused key", lambda b: b.ask(b'{"model":"a/m","max_tokens":9,"messages":[]}', headers=["x-api-key: sk-pm-nothing"])),
    ("a malformed head", lambda b: b.ask(b"{", headers=["Bad Name: x"])),
    ("a raw path", lambda b: b.ask(b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\na/m\r\n--B--\r\n',
                                   "/v1/audio/transcriptions", ["Content-Type: multipart/form-data; boundary=B"])),
    ("a new configuration", reload),
    ("a switch and its undo", lambda b: (b.admin("POST", "routes/claude/switch", b'{"to":"a/n"}'),
                                         b.admin("POST", "undo", b"{}"))),
    ("a console's questions", lambda b: (b.admin("GET", "snapshot"), b.admin("GET", "exchanges?limit=50"),
                                         b.admin("GET", "models"), b.admin("GET", "config"))),
]


def one_point(b, run, nth, persistent):
    """False when the scenario makes fewer than nth allocations."""
    b.g.control.fail(nth, persistent)
    begun = time.monotonic()
    try:
        run(b)
    except (OSError, Fault):
        pass  # an answer that breaks off is one way to fail
    took = time.monotonic() - begun
    hits = b.g.control.calm()
    if b.g.process.poll() is None and took > 5.5:
        raise Fault(f"allocation {nth} ({b.g.control.where()}): nothing was said for {took:.1f} s")
    return hits > 0


def sweep(b, run, persistent, counts):
    nth = 1
    while STEPS == 0 or nth <= STEPS:
        hit = one_point(b, run, nth, persistent)
        code = b.g.process.poll()
        if code is None:
            try:
                b.sound()
            except Fault as wrong:
                code = b.g.process.poll()
                if code is None:
                    raise Fault(f"allocation {nth} ({b.g.control.where()}): {wrong}") from None
        if code is not None:
            where = b.g.control.where()
            if (where.split(" ")[0], -code) not in KNOWN:
                raise Fault(f"allocation {nth} ({where}) ended the process: {code}: {b.g.read_log()[-300:]}")
            counts["known"] += 1
            b.g.process.stdout.close()
            b.start()
        counts["points"] += hit
        if not hit:
            return
        nth += 1


def ledger_agrees(b):
    time.sleep(1.2)
    code, out, err = b.g.command("db", "check")
    if code != 0:
        raise Fault(f"db check: {out} {err}")


def swept(b, run, persistent, counts):
    """The sweep's test; whatever it leaves behind, the next one finds a gateway that serves."""
    before = counts["points"]
    try:
        b.sound()
        sweep(b, run, persistent, counts)
        return f"{counts['points'] - before} points"
    except Exception:
        b.g.control.calm()
        if b.g.process is None or b.g.process.poll() is not None:
            b.start()
        raise


def main():
    parts = sys.argv[1:]
    chosen = [s for s in SCENARIOS if not parts or any(part in s[0] for part in parts)]
    if not gateway.present() or not fault.usable():
        return tap.run([(f"{len(chosen) * 2 + 1} sweeps", None)], "needs a release build with its tools")
    b, counts = Bench(), {"points": 0, "known": 0}
    try:
        failed = tap.run([tap.test(swept, b, run, persistent, counts,
                                   name=f"{name}, {'from there on' if persistent else 'once'}")
                          for name, run in chosen for persistent in (False, True)] +
                         [tap.test(ledger_agrees, b, name="requests, rollups and ledger agree afterwards")])
        print(f"# {counts['points']} allocations failed; {counts['known']} ends at libcurl's known point")
        return failed
    finally:
        b.g.remove()
        b.provider.stop()


if __name__ == "__main__":
    sys.exit(main())
