#!/usr/bin/env python3
"""What a person changed is stored when it is answered: a switch, a limit, a key made, credit granted, a key
sealed, each followed by kill -9 as soon as its answer is read. After the restart all of them are there, once,
with their rows in the audit trail. DURABLE_ROUNDS rounds (50). Prints TAP."""
import http.client
import json
import os
import signal
import socket
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import gateway  # noqa: E402
import tap  # noqa: E402
from check_threats import alone, answering, ends_well, wish  # noqa: E402

ROUNDS = int(os.environ.get("DURABLE_ROUNDS", "50"))


class Link(http.client.HTTPConnection):
    def __init__(self, g):
        super().__init__("localhost", timeout=20)
        self.path = os.path.join(g.data, "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def call(g, method, path, body=None, kill=False):
    """The answer; with `kill` nothing lies between its last byte and kill -9."""
    link = Link(g)
    link.request(method, "/admin/v1/" + path, None if body is None else json.dumps(body))
    answer = link.getresponse()
    text = answer.read()
    if kill:
        g.process.kill()
    link.close()
    wish(answer.status == 200, f"{method} {path}: {answer.status} {text[:300]}")
    got = json.loads(text)
    wish("not_stored" not in got, f"{method} {path}: {got}")
    return got


def keys_of(g):
    return {k["name"]: k for k in call(g, "GET", "keys")["keys"]}


def limit_of(g, name):
    return next((w["limit_nano"] for w in keys_of(g)[name]["windows"] if w["window"] == "week"), None)


def override_of(g):
    return next(r for r in call(g, "GET", "routes")["routes"] if r["name"] == "fast")["override"]["to"]


def changes(n):
    """(path, body, and whether it is there afterwards)"""
    target = f"lab/m{n % 3}"
    yield ("switch", "routes/fast/switch", {"to": target, "scope": "everyone"}, lambda g: override_of(g) == target)
    yield ("key", "keys", {"line": f"made{n} 20/week"}, lambda g: f"made{n}" in keys_of(g))
    yield ("limit", "keys/bob/limit", {"line": f"{n + 1}/week"}, lambda g: limit_of(g, "bob") == (n + 1) * 10**9)
    yield ("grant", "keys/bob/grant", {"amount": "1usd", "note": f"note-{n}"}, lambda g: any(
        e["note"] == f"note-{n}" for e in call(g, "GET", "keys/bob/ledger?limit=1000")["entries"]))
    yield ("seal", f"sealed/k{n}", {"value": f"sk-durable-{n:04d}-0123456789"}, lambda g: any(
        k["name"] == f"k{n}" and k["opens"] for k in call(g, "GET", "sealed")["keys"]))


def a01_a_change_that_was_answered_survives_kill_9(g):
    p = answering("lab")
    g.write_config(f"workers: 2\nproviders:\n  lab: {{ dialect: openai, base_url: '{p.url}', models: [m0, m1, m2], "
                   "api_key: 'sk-lab-0123456789abcdef0' }\nroutes:\n  fast: { targets: [lab/m0, lab/m1, lab/m2] }\n")
    g.start()
    call(g, "POST", "keys", {"line": "bob 20/week"})
    lost, said = [], 1
    for n in range(ROUNDS):
        kinds = list(changes(n))
        what, path, body, there = kinds[n % len(kinds)]
        call(g, "POST", path, body, kill=True)
        said += 1
        g.kill()
        g.start()
        if not there(g):
            lost.append(f"{n}: {what}")
    wish(not lost, f"{len(lost)} of {ROUNDS} were lost: {lost}")
    rows = [json.loads(line) for line in g.command("audit", "--json", "--limit", "1000")[1].splitlines()]
    wish(len({r["revision"] for r in rows}) == len(rows) == said, f"{len(rows)} rows in the audit trail, not {said}")
    ends_well(g)


def a02_requests_do_not_wait_while_a_change_is_being_stored(g):
    """The answer waits; the loop does not: other questions are answered meanwhile."""
    p = answering("lab")
    g.write_config(f"providers:\n  lab: {{ dialect: openai, base_url: '{p.url}', models: [m], "
                   "api_key: 'sk-lab-0123456789abcdef0' }\n")
    g.start()
    links = [Link(g) for _ in range(40)]
    for n, link in enumerate(links):  # all before the first answer is read
        link.request("POST", "/admin/v1/keys", json.dumps({"line": f"many{n} 1/day"}))
    wish(call(g, "GET", "status")["pid"] == g.process.pid, "no status meanwhile")
    for link in links:
        answer = link.getresponse()
        wish(answer.status == 200 and b"not_stored" not in answer.read(), "a key was not made")
        link.close()
    wish(len(keys_of(g)) == 40, "keys are missing")
    ends_well(g)


def a03_a_change_that_the_store_refuses_is_said_tried_again_and_missed_at_the_end(g):
    p = answering("lab")
    g.write_config(f"providers:\n  lab: {{ dialect: openai, base_url: '{p.url}', models: [m], "
                   "api_key: 'sk-lab-0123456789abcdef0' }\n")
    g.start()

    def made_while_locked(name):
        holder = sqlite3.connect(os.path.join(g.data, "pointsman.db"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        link = Link(g)
        link.request("POST", "/admin/v1/keys", json.dumps({"line": f"{name} 1/day"}))
        answer = link.getresponse()
        got = json.loads(answer.read())
        link.close()
        wish(answer.status == 200 and got.get("not_stored"), f"{answer.status} {got}")
        wish(name in keys_of(g), "it is not in force")
        return holder

    made_while_locked("later").close()
    call(g, "POST", "keys", {"line": "behind 1/day"}, kill=True)
    g.kill()
    g.start()
    wish({"later", "behind"} <= set(keys_of(g)), "it was not stored when the store was well again")
    holder = made_while_locked("never")
    g.signal(signal.SIGTERM)
    g.wait_end()
    holder.close()
    wish("changes that waited are lost" in g.read_log(), "nothing is said of what is lost")


def main():
    if not gateway.present():
        print("not ok 1 - build/pointsman serve is not there")
        return 1
    return tap.run(tap.numbered(globals(), "a", alone))


if __name__ == "__main__":
    sys.exit(main())
