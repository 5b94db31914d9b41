#!/usr/bin/env python3
"""kill -9 under load, round after round on one data folder: whatever a client has received whole is in
the database once, with its tokens and cost; what was under way is there as interrupted; the gateway
serves again at once; the books agree. ROUNDS in the environment sets the number (6). Prints TAP."""
import json
import os
import random
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import gateway  # noqa: E402
from check_pressure import MOCK, Mock, wish  # noqa: E402
from peers import Client, Fault, post  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "6"))
WORKERS = 8
PRICE = "prices:\n  m/plain: { input: 1, output: 2 }\n  m/stream-6x3ms: { input: 1, output: 2 }\n"
PLAIN_NANO = (120 - 32) * 1000 + 32 * 1000 + 60 * 2000
STREAM_NANO = 120 * 1000 + 6 * 2000


class Load:
    """Clients that write down each answer they have received whole."""

    def __init__(self, port):
        self.port, self.stopped = port, threading.Event()
        self.whole, self.begun = {}, set()  # id → (stream?), ids of which only the head came
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def run(self, seed):
        rng = random.Random(seed + self.port)
        while not self.stopped.is_set():
            stream = rng.random() < 0.5
            model = "stream-6x3ms" if stream else "plain"
            try:
                client = Client(self.port)
                client.send(post("/v1/chat/completions", json.dumps(
                    {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})))
                answer = client.read()
                client.sock.close()
            except (OSError, Fault):
                continue
            ident = answer.header("x-request-id")
            if not ident:
                continue
            done = b"data: [DONE]\n\n" in answer.body if stream else answer.complete
            with self.lock:
                if done and answer.status == 200:
                    self.whole[ident] = stream
                else:
                    self.begun.add(ident)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def stored(gate):
    code, out, err = gate.command("tail", "--no-follow", "--json", "--limit", "1000000", seconds=60)
    wish(code == 0, f"tail ends with {code}: {err}")
    return [json.loads(line) for line in out.splitlines() if line.strip()]


def settle(gate, wanted):
    """The records once the writer has caught up with what is waited for."""
    until = time.monotonic() + 10
    while True:
        rows = stored(gate)
        if wanted <= {r["id"] for r in rows} or time.monotonic() > until:
            return rows
        time.sleep(0.1)


def judge(rows, whole, begun):
    count = {}
    for row in rows:
        count[row["id"]] = count.get(row["id"], 0) + 1
    by_id = {row["id"]: row for row in rows}
    twice = [i for i, n in count.items() if n > 1]
    wish(not twice, f"{len(twice)} records are there twice, such as {twice[:1]}")
    lost = [i for i in whole if i not in by_id]
    wish(not lost, f"{len(lost)} of {len(whole)} received answers have no record, such as {lost[:1]}")
    for ident, stream in whole.items():
        row = by_id[ident]
        cost = STREAM_NANO if stream else PLAIN_NANO
        wish(row["outcome"] == "ok" and row["cost_nano"] == cost,
             f"{ident} was received whole and is stored as {row['outcome']}, {row['cost_nano']} nano-USD, not {cost}")
    for ident in begun:
        wish(ident not in by_id or by_id[ident]["state"] == "done", f"{ident} is not settled: {by_id.get(ident)}")
    running = [r["id"] for r in rows if r["state"] != "done"]
    wish(not running, f"{len(running)} records never end, such as {running[:1]}")


def one_round(gate, mock_url, number, whole, begun):
    load = Load(gate.port)
    time.sleep(random.Random(number).uniform(0.15, 0.8))
    gate.signal(signal.SIGKILL)
    load.stop()
    gate.kill()
    whole.update(load.whole)
    begun.update(load.begun)
    began = time.monotonic()
    gate.start()
    took = time.monotonic() - began
    client = Client(gate.port)
    client.send(post("/v1/chat/completions", '{"model":"plain","messages":[]}'))
    wish(client.read().status == 200, "it does not serve after the restart")
    client.sock.close()
    judge(settle(gate, set(whole)), whole, begun)
    return took


def main():
    print(f"1..{ROUNDS + 1}", flush=True)
    if not gateway.present() or not os.path.exists(MOCK):
        print("not ok 1 - build/pointsman and build/tests/mock/mock are not there (make all tools)")
        return 1
    mock, gate = Mock(), gateway.Gateway()
    gate.write_config(f"workers: 2\ncapture: {{ bodies: off }}\nproviders:\n  m: {{ dialect: openai, "
                      f"base_url: \"{mock.url}/v1\", api_key: \"sk-real-m-000000000000\", "
                      "models: [plain, stream-6x3ms] }\n" + PRICE)
    failed, whole, begun = 0, {}, set()
    try:
        gate.start()
        for number in range(1, ROUNDS + 1):
            try:
                took = one_round(gate, mock.url, number, whole, begun)
                print(f"ok {number} - killed under load: {len(whole)} answers so far, all there once "
                      f"(serving again after {took * 1000:.0f} ms)", flush=True)
            except Fault as fault:
                failed += 1
                print(f"not ok {number} - killed under load\n    # {fault}", flush=True)
        gate.stop()
        code, out, err = gate.command("db", "check", seconds=60)
        faults = gate.judge_log()
        good = code == 0 and not faults
        failed += not good
        print(f"{'ok' if good else 'not ok'} {ROUNDS + 1} - rows, rollups and ledger agree at the end")
        if not good:
            print("    # " + "; ".join([out[-400:], err[-400:], *faults]).replace("\n", " "))
    except (Fault, OSError) as fault:
        failed += 1
        print(f"not ok {ROUNDS + 1} - {fault}")
    finally:
        gate.remove()
        mock.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
