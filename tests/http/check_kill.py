#!/usr/bin/env python3
"""kill -9 at random instants under load. The client keeps its own ledger of the answers that it has
received whole (held, piped and streamed, in three dialects); after each restart every one of them is
stored exactly once with its tokens and its cost, what had begun and was not received whole is there
as `interrupted` (or as done, when only its last bytes were lost), and in the end the key's budget agrees
with the sum of the rows and the database checks clean. KILL_ROUNDS rounds (20). Prints TAP."""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402

KEY = "kill-key-0123456789abcdef"
CONFIG = """
providers:
  lab: {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0', models: [plain] }}
  ant: {{ dialect: anthropic, base_url: 'http://127.0.0.1:{port}', api_key: 'sk-ant-0123456789abcdef0' }}
  gem: {{ dialect: gemini, base_url: 'http://127.0.0.1:{port}', api_key: 'AI-gem-0123456789abcdef0' }}
routes:
  'lab-*': {{ targets: ['lab/$model'] }}
keys:
  ci: {{ secret: {key}, budget: {{ total: 1000000usd }} }}
prices:
{prices}
limits: {{ held_bytes: 8KiB }}
workers: 2
capture: all
"""
RATES = {"input": 1, "output": 2, "cached": 0.5}  # USD per million: nano-USD a token is 1,000 times that


def kinds():
    """(name, provider, model, path, body, tokens out, what ends it)."""
    def chat(model, stream):
        return {"model": "lab/" + model, "stream": stream, "max_tokens": 100,
                "messages": [{"role": "user", "content": "hello there"}]}
    yield "held", "lab", "plain", "/v1/chat/completions", chat("plain", False), 60, None
    yield "piped", "lab", "b20000", "/v1/chat/completions", chat("b20000", False), 60, None
    for model, out in (("stream-5x1ms", 5), ("stream-12x3ms", 12), ("stream-60x20ms", 60)):
        yield "stream", "lab", model, "/v1/chat/completions", chat(model, True), out, b"[DONE]"
    body = {"model": "ant/stream-7x2ms", "stream": True, "max_tokens": 100,
            "messages": [{"role": "user", "content": "hello there"}]}
    yield "messages", "ant", "stream-7x2ms", "/v1/messages", body, 7, b"message_stop"
    yield "gemini", "gem", "stream-6x2ms", "/v1beta/models/gem/stream-6x2ms:streamGenerateContent?alt=sse", \
        {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}],
         "generationConfig": {"maxOutputTokens": 100}}, 6, b"\r\n0\r\n\r\n"


KINDS = list(kinds())


class Ledger:
    """What clients know: whole answers (id → tokens out, kind) and ids that had begun."""

    def __init__(self):
        self.lock = threading.Lock()
        self.whole, self.begun, self.refused, self.calling = {}, set(), [], 0

    def enter(self, by):
        with self.lock:
            self.calling += by

    def note(self, ident, kind, whole):
        with self.lock:
            self.begun.add(ident)
            if whole:
                self.whole[ident] = kind


def request_bytes(kind):
    text = json.dumps(kind[4])
    return (f"POST {kind[3]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"x-goog-api-key: {KEY}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}").encode()


def call(port, kind, ledger):
    """One request on a connection of its own; what came of it goes to the ledger, however it ends."""
    got, ident, whole = b"", None, False
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(15)
            s.sendall(request_bytes(kind))
            while not whole:
                piece = s.recv(65536)
                if not piece:
                    break
                got += piece
                head, gap, body = got.partition(b"\r\n\r\n")
                if gap and not ident:
                    found = re.search(rb"(?i)\r\nx-request-id: *(\w+)", head)
                    ident = found.group(1).decode() if found else None
                    if not head.startswith(b"HTTP/1.1 200"):
                        ledger.refused.append(got[:600].decode("utf-8", "replace"))
                        return
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                whole = bool(gap) and (kind[6] in body if kind[6] else bool(length) and
                                       len(body) >= int(length.group(1)))
    except OSError:
        pass
    if ident:
        ledger.note(ident, kind, whole)


def caller(state, ledger, seed):
    dice = random.Random(seed)
    while not state["over"]:
        ledger.enter(1)  # first said, then looked: who kills waits for those that looked in time
        port = state["port"]
        if port:
            call(port, dice.choice(KINDS), ledger)
        ledger.enter(-1)
        if not port:
            time.sleep(0.002)


class Rows:
    """Every stored record, by id, read on from where the last look ended."""

    def __init__(self, g):
        self.g, self.by_id, self.twice, self.faults = g, {}, set(), []

    def read(self):
        code, out, err = self.g.command("tail", "--no-follow", "--json", seconds=120)
        if code != 0:
            self.faults.append(f"tail ended with {code}: {err}")
        self.by_id, self.twice = {}, set()
        for line in out.splitlines():
            row = json.loads(line)
            if row["id"] in self.by_id:
                self.twice.add(row["id"])
            self.by_id[row["id"]] = row


def cost_of(kind):
    cached = 32 if kind[2] in ("plain", "b20000") else 0
    nano = (120 - cached) * RATES["input"] + cached * RATES["cached"] + kind[5] * RATES["output"]
    return round(nano * 1000)


def judge(ledger, rows):
    """Faults of this life: what was received against what is stored."""
    faults = []
    for ident, kind in ledger.whole.items():
        row = rows.by_id.get(ident)
        if not row:
            faults.append(f"{kind[0]} {ident} was received and is not stored")
        elif row["state"] != "done" or row["outcome"] != "ok":
            faults.append(f"{kind[0]} {ident} was received and is {row['state']} {row['outcome']}")
        elif row["output_tokens"] != kind[5] or row["input_tokens"] != 120:
            faults.append(f"{kind[0]} {ident}: {row['input_tokens']} in and {row['output_tokens']} out "
                          f"({row['usage_source']}), not 120 and {kind[5]}")
        elif row["cost_nano"] != cost_of(kind):
            faults.append(f"{kind[0]} {ident} ({kind[2]}) costs {row['cost_nano']}, not {cost_of(kind)}")
    for ident in ledger.begun - set(ledger.whole):
        row = rows.by_id.get(ident)
        if not row:
            faults.append(f"{ident} had begun and is not stored")
        elif row["state"] != "done" or row["outcome"] not in ("interrupted", "ok"):
            faults.append(f"{ident} had begun and is {row['state']} {row['outcome']}")
    if rows.twice:
        faults.append(f"stored twice: {sorted(rows.twice)[:3]}")
    return faults + rows.faults


def budget_faults(g, rows):
    with socket.create_connection(("127.0.0.1", g.port), 5) as s:
        s.sendall(f"GET /v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
                  "Connection: close\r\n\r\n".encode())
        got = b""
        while piece := s.recv(65536):
            got += piece
    total = json.loads(got.partition(b"\r\n\r\n")[2])
    window = next((w for w in total["windows"] if w["window"] == "total"), {})
    spent, held = window.get("spent_nano"), window.get("reserved_nano")
    stored = sum(row["cost_nano"] for row in rows.by_id.values())
    return ([] if spent == stored else [f"the key has spent {spent} nano-USD, its rows say {stored}: {total}"]) + \
        ([] if held == 0 else [f"{held} nano-USD are reserved for nobody"])


def play(rounds, g, callers=6):
    state, ledger, rows, faults, starts, cut = {"port": 0, "over": False}, Ledger(), Rows(g), [], [], 0
    dice = random.Random(os.environ.get("KILL_SEED", "7"))
    threads = [threading.Thread(target=caller, args=(state, ledger, n)) for n in range(callers)]
    for t in threads:
        t.start()
    received = 0
    try:
        for number in range(rounds + 1):
            began = time.monotonic()
            g.start()
            starts.append(time.monotonic() - began)
            rows.read()
            faults += [f"round {number}: {f}" for f in judge(ledger, rows)]
            received += len(ledger.whole)
            cut += len(ledger.begun) - len(ledger.whole)
            if number == rounds or len(faults) > 20:
                break
            with ledger.lock:
                ledger.whole, ledger.begun = {}, set()
            state["port"] = g.port
            time.sleep(dice.uniform(0.05, 1.0))
            state["port"] = 0
            g.kill()
            until = time.monotonic() + 20
            while ledger.calling and time.monotonic() < until:  # all connections died with it
                time.sleep(0.002)
    finally:
        state["over"] = True
        for t in threads:
            t.join(20)
    return ledger, rows, faults, sorted(starts), received, cut


def main():
    rounds = int(os.environ.get("KILL_ROUNDS", "20"))
    mock = subprocess.Popen([os.path.join(gateway.BUILD, "tests/mock/mock")], stdout=subprocess.PIPE)
    port = int(mock.stdout.readline().decode().strip().rsplit(":", 1)[1])
    prices = "".join(f"  {k[1]}/{k[2]}: {{ input: 1, output: 2, cached: 0.5 }}\n" for k in KINDS)
    g = gateway.Gateway()
    results = []
    try:
        g.write_config(CONFIG.format(port=port, key=KEY, prices=prices))
        ledger, rows, faults, starts, received, cut = play(rounds, g)
        slowest, usual = starts[-1], starts[len(starts) // 2]
        results.append((f"{rounds} rounds: {received} whole answers are stored once, with tokens and cost; {cut} "
                        "that were cut are accounted for", faults))
        results.append(("the clients were served until the gateway died", ledger.refused[:3] or
                        ([] if received >= rounds * 2 else [f"only {received} answers in {rounds} rounds"])))
        results.append(("the budget agrees with the rows", budget_faults(g, rows)))
        results.append((f"the gateway serves again within 2 s (median {usual * 1000:.0f}, slowest {slowest * 1000:.0f} ms)",
                        [] if slowest < 2 * slack() else [f"{slowest:.1f} s"]))
        g.stop()
        code, out, err = g.command("db", "check", seconds=120)
        results.append(("db check is clean", [] if code == 0 else [out + err]))
        results.append(("the log is clean", g.judge_log()))
    except Exception as error:  # noqa: BLE001: any trouble is a failed test, with its words
        results.append(("the rounds run", [repr(error), g.read_log()[-1500:]]))
    finally:
        g.remove()
        mock.send_signal(signal.SIGTERM)
        mock.wait()
        mock.stdout.close()
    return tap.run([(name, lambda faults=faults: faults) for name, faults in results])


def slack():
    """Builds with sanitizers are slow."""
    return 5 if "ASAN_OPTIONS" in os.environ and "debug" in gateway.BUILD else 1


if __name__ == "__main__":
    sys.exit(main())
