#!/usr/bin/env python3
"""Ways to spend more than was granted, each tried over sockets: attempts that were given up, answers that are cut,
clients that leave at any moment, providers that lie about usage, keys that are rotated, paused or revoked in
mid-stream, credit handed on while it is reserved, one budget of several that refuses, streams that grow side by side
and across a window's end. After each, what the key, its rows and the ledger say is one number. Prints TAP."""
import http.client
import http.server
import json
import os
import random
import socket
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import check_money  # noqa: E402
import gateway  # noqa: E402
import tap  # noqa: E402

SECRET = check_money.SECRET
chat, window, entries = check_money.chat, check_money.window, check_money.entries
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
OK_COST = 1000 * 1_000 + 100 * 2_000  # of lab and b: 1 and 2 USD a million
LIES = {"negative": {"prompt_tokens": -5_000_000, "completion_tokens": -7, "total_tokens": -3},
        "huge": {"prompt_tokens": 10**30, "completion_tokens": 9_223_372_036_854_775_807, "total_tokens": 1},
        "words": {"prompt_tokens": "1000", "completion_tokens": None, "total_tokens": [1]},
        "fraction": {"prompt_tokens": 1e400, "completion_tokens": 1.5e3},
        "cached": {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 161}}}


class Provider(http.server.BaseHTTPRequestHandler):
    """Behaves as the model's name says."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def json(self, value, length=None):
        text = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(length or len(text)))
        self.end_headers()
        self.wfile.write(text)

    def events(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, value):
        self.wfile.write(b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n")

    def words(self, n, gap, usage=USAGE):
        self.events()
        for i in range(n):
            self.event({"id": "c", "choices": [{"index": 0, "delta": {"content": f"word {i} of many "}}]})
            time.sleep(gap)
        self.event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.event({"id": "c", "choices": [], "usage": usage})
        self.event("[DONE]")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = body.get("model", "")
        self.server.asked.append(model)
        whole = {"id": "c", "object": "chat.completion", "model": model, "usage": USAGE, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}
        try:
            if model == "slow":
                time.sleep(2.5)
                self.json(whole)
            elif model == "drawn":
                time.sleep(1.0)
                self.json({"created": 1, "data": [{"url": "x"}] * body.get("n", 1)})
            elif model == "opens":
                self.events()
            elif model == "junk":
                self.json('{"id":"c","choices":[{"index":0,"message":{"content":"' + "half a word " * 30)
            elif model == "half":
                self.json(json.dumps(whole)[:120], 500)
                self.close_connection = True
            elif model == "sorry":
                self.events()
                self.event({"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}})
            elif model == "busy":
                self.send_response(503)
                self.send_header("content-length", "0")
                self.end_headers()
            elif model == "twice":
                self.events()
                self.event({"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}}], "usage": USAGE})
                self.event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
                self.event({"id": "c", "choices": [], "usage": USAGE})
                self.event("[DONE]")
            elif model in LIES:
                self.json(dict(whole, usage=LIES[model]))
            elif body.get("stream"):
                self.words(*{"long": (200, 0.01), "rolls": (60, 0.05)}.get(model, (20, 0.02)))
            else:
                self.json(whole)
        except OSError:
            self.close_connection = True


class House(check_money.House):
    """Providers lab, b and dear speak to the Provider above; 'gone' is a port that nobody listens on."""

    def __init__(self, more, workers=2):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
        self.server.daemon_threads = True
        self.server.asked = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        gateway.Gateway.__init__(self)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            gone = s.getsockname()[1]
        text = "providers:\n"
        for name, port in (("lab", self.server.server_port), ("b", self.server.server_port),
                           ("dear", self.server.server_port), ("gone", gone)):
            text += (f"  {name}: {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', timeouts: {{ headers: 400ms }}, "
                     "api_key: 'sk-lab-0123456789abcdef0' }\n")
        text += ("prices:\n  lab/*: { input: 1, output: 2 }\n  b/*: { input: 1, output: 2 }\n  gone/*: { input: 1, output: 2 }\n"
                 "  dear/*: { input: 100, output: 1000 }\n  lab/drawn: { per_image_out: 0.04 }\n")
        self.write_config(text + f"alarms: {{ repeats: off }}\nworkers: {workers}\n" + more)

    def __exit__(self, *_):
        self.remove()
        self.server.shutdown()
        self.server.server_close()

    def spent(self, secret=SECRET):
        return window(self.usage(secret))["spent_nano"]

    def agrees(self, key="ci", secret=SECRET):
        """Nothing is reserved any more, and the budget, the rows and the entries are one number; the database too."""
        until = time.monotonic() + 8
        while window(self.usage(secret))["reserved_nano"] and time.monotonic() < until:
            time.sleep(0.05)
        used = window(self.usage(secret))
        rows = sum(r["cost_nano"] for r in self.rows() if r["key"] == key)
        book = -sum(e["amount_nano"] for e in entries(self, key) if e["kind"] not in ("grant", "transfer", "opening"))
        faults = [] if used["reserved_nano"] == 0 and used["spent_nano"] == rows == book else [
            f"{used} rows {rows} ledger {book}"]
        return faults + self.proves()

    def leaves(self, body, after, how="close", path="/v1/chat/completions"):
        """A client that hangs up so many seconds after it has asked."""
        text = json.dumps(body).encode()
        s = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        s.sendall(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {SECRET}\r\ncontent-type: "
                  f"application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
        time.sleep(after)
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()


KEY = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $1 }} }}\n"


def routes(*firsts):
    return "routes:\n" + "".join(f"  r-{m}: {{ targets: [{p}/{m}], fallback: [b/fine], retry: {{ attempts: 1 }} }}\n"
                                 for p, m in firsts)


def attempts_that_may_have_cost_stay_charged():
    """A provider that was given up after it had taken the request may bill it; one that refused or could not be
    reached does not."""
    paid, free = ("slow", "opens", "junk", "half"), ("sorry", "busy")
    with House(KEY + routes(*[("lab", m) for m in paid + free], ("gone", "nobody"))) as g:
        faults = []
        for m in (*paid, *free, "nobody"):
            body = chat("r-" + m, max_tokens=100, stream=m in ("opens", "sorry"))
            status, text, r = g.ask(SECRET, body)
            row = g.record(r.getheader("x-request-id"))
            words = dict(w.split(":") for w in row["billed"].split())
            earlier = row["cost_nano"] - OK_COST
            if status != 200 or len(row["attempts"]) != 2 or (earlier > 0) != (m in paid):
                faults.append(f"{m}: {status} {text[:100]} {row['attempts']} {row['cost_nano']}")
            elif int(words.get("earlier_nano", 0)) != earlier or (row["cost_source"] == "estimated") != (m in paid):
                faults.append(f"{m}: {earlier} and {row['billed']!r} {row['cost_source']}")
            elif earlier > 200_000 or row["reserve_nano"] < 500_000 + earlier:
                faults.append(f"{m}: {earlier}, {row['reserve_nano']} reserved")
        code, out, err = g.command("prices", "reprice", "--since", "1h")
        if code or "no request would cost anything else" not in out + err:
            faults.append(f"the records priced again differ: {out}{err}")
        return faults + g.agrees()


def what_no_attempt_earned_is_free():
    """Alone and in the end: refused, unreachable, failed at its first word."""
    with House(KEY) as g:
        faults = []
        for m in ("lab/busy", "lab/sorry", "gone/nobody"):
            g.ask(SECRET, chat(m, max_tokens=100, stream=m == "lab/sorry"))
            row = g.record()
            if row["cost_nano"] or row["cost_source"] != "none":
                faults.append(f"{m}: {row['cost_nano']} {row['cost_source']} {row['attempts']}")
        for m in ("lab/half", "lab/junk", "lab/slow"):
            g.ask(SECRET, chat(m, max_tokens=100))
            row = g.record()
            if not row["cost_nano"] or row["cost_source"] != "estimated":
                faults.append(f"{m}: {row['cost_nano']} {row['cost_source']} {row['attempts']}")
        return faults + g.agrees()


def a_second_attempt_that_can_not_be_paid_is_not_made():
    more = (f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ day: $0.0009, total: $9 }} }}\n"
            "routes:\n  r: { targets: [lab/slow], fallback: [dear/fine], retry: { attempts: 1 } }\n")
    with House(more) as g:
        faults = []
        status, text, r = g.ask(SECRET, chat("r", max_tokens=60))
        row = g.record()
        if status != 402 or "daily budget $0.0009" not in text or "fewer output" not in text:
            faults.append(f"{status} {text}")
        if '"code":"budget_exceeded"' not in text or "dear:" in text or "fine" in g.server.asked:
            faults.append(f"{text} {g.server.asked}")
        if row["outcome"] != "refused" or not 0 < row["cost_nano"] < 100_000 or row["cost_source"] != "estimated":
            faults.append(f"{row['outcome']} {row['cost_nano']} {row['cost_source']}")
        return faults + g.agrees()


def death_in_a_later_attempt_charges_all_of_them():
    more = KEY.replace("$1", "$9") + "routes:\n  r: { targets: [lab/slow], fallback: [dear/long], retry: { attempts: 1 } }\n"
    with House(more) as g:
        t = threading.Thread(target=lambda: g.leaves(chat("r", max_tokens=200, stream=True), 3))
        t.start()
        until = time.monotonic() + 5
        while "long" not in g.server.asked and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)
        g.kill()
        t.join()
        g.start()
        row = g.record()
        first = row["input_tokens"] * 1000
        least = first + row["input_tokens"] * 100_000 + row["output_tokens"] * 1_000_000
        faults = [] if row["outcome"] == "interrupted" and row["output_tokens"] > 20 and row["cost_nano"] == least else [
            f"{row['outcome']} {row['input_tokens']} {row['output_tokens']} costs {row['cost_nano']}, not {least}"]
        return faults + g.agrees()


def images_are_charged_though_nobody_waits_for_them():
    with House(KEY.replace("budget", "raw: [other], budget")) as g:
        g.leaves({"model": "lab/drawn", "prompt": "a", "n": 2}, 0.3, path="/v1/images/generations")
        time.sleep(0.3)
        row = g.record()
        faults = [] if (row["cost_nano"], row["cost_source"], row["outcome"]) == (80_000_000, "estimated", "cancelled") else [
            f"{row['cost_nano']} {row['cost_source']} {row['outcome']}"]
        t = threading.Thread(target=lambda: g.leaves({"model": "lab/drawn", "prompt": "a"}, 1.5, path="/v1/images/generations"))
        t.start()
        time.sleep(0.4)
        g.kill()
        t.join()
        g.start()
        row = g.record()
        if (row["cost_nano"], row["outcome"]) != (40_000_000, "interrupted"):
            faults.append(f"after kill -9: {row['cost_nano']} {row['cost_source']} {row['outcome']}")
        return faults + g.agrees()


def lies_about_usage_never_pay_back_and_never_overflow():
    with House(KEY) as g:
        faults = []
        for m in LIES:
            before = g.spent()
            status, text, _ = g.ask(SECRET, chat("lab/" + m, max_tokens=100))
            row = g.record()
            if m == "huge":  # as much as anybody can have: charged, debt, and nothing more is let through
                if g.ask(SECRET, chat("lab/fine", max_tokens=1))[0] != 402 or row["cost_nano"] <= 0:
                    faults.append(f"{m}: {row['cost_nano']}")
                g.command("prices", "reprice", "--since", "1h")
                faults += g.agrees()
                return faults if g.events("DEBT") else faults + ["no event"]
            if status != 200 or row["cost_nano"] < 0 or g.spent() < before or row["input_tokens"] < 0:
                faults.append(f"{m}: {status} {text[:80]} {row['cost_nano']} {row['input_tokens']}")
        return faults


def usage_said_twice_counts_once():
    with House(KEY) as g:
        g.ask(SECRET, chat("lab/twice", stream=True, max_tokens=100))
        row = g.record()
        return ([] if row["cost_nano"] == OK_COST else [f"{row['cost_nano']}"]) + g.agrees()


def a_key_that_changes_in_mid_stream_pays_for_it():
    """Rotated, paused, limited, revoked: the stream that runs is charged to the key that began it."""
    with House("") as g:
        faults = []
        for verb in ("rotate", "pause", "limit", "revoke"):
            code, out, err = g.command("key", "add", verb, "1/total", "--json")
            secret = json.loads(out)["secret"]
            t = threading.Thread(target=lambda s=secret: g.ask(s, chat("lab/slowly", stream=True, max_tokens=200)))
            t.start()
            time.sleep(0.2)
            words = ("key", verb, verb, *(["0.0001/total"] if verb == "limit" else []))
            code, out, err = g.command(*words)
            t.join()
            row = g.record()
            after = g.ask(secret, chat("lab/fine", max_tokens=5))[0]
            if code or row["key"] != verb or row["outcome"] != "ok" or row["cost_nano"] != OK_COST:
                faults.append(f"{verb}: {out}{err} {row['key']} {row['outcome']} {row['cost_nano']}")
            if after != {"rotate": 200, "pause": 401, "limit": 402, "revoke": 401}[verb]:
                faults.append(f"{verb}: the old secret then gets {after}")
        time.sleep(0.5)
        for verb in ("rotate", "pause", "limit", "revoke"):
            book = -sum(e["amount_nano"] for e in entries(g, verb))
            if book != OK_COST * (2 if verb == "rotate" else 1):
                faults.append(f"{verb}: the ledger says {book}")
        return faults + g.proves()


def credit_that_is_reserved_can_not_be_handed_on():
    more = f"keys:\n  bob: {{ secret: {SECRET} }}\n  eve: {{ secret: eve-{SECRET} }}\n"
    with House(more) as g:
        g.command("key", "grant", "bob", "0.0040usd")
        t = threading.Thread(target=lambda: g.ask(SECRET, chat("lab/long", stream=True, max_tokens=1500)))
        t.start()
        time.sleep(0.5)
        code, out, err = g.command("key", "grant", "eve", "0.0035usd", "--from", "bob")
        faults = [] if code == 1 and "does not have that much" in err else [f"{code} {out}{err}"]
        t.join()
        code, out, err = g.command("key", "grant", "eve", "0.0020usd", "--from", "bob")
        if code:
            faults.append(out + err)
        left = 4_000_000 - OK_COST - 2_000_000
        if g.usage(SECRET)["credit_nano"] != left or g.usage("eve-" + SECRET)["credit_nano"] != 2_000_000:
            faults.append(f"{g.usage(SECRET)} {g.usage('eve-' + SECRET)}")
        return faults + g.proves()


def one_budget_that_refuses_leaves_the_others_whole():
    more = (f"keys:\n  ci: {{ secret: {SECRET}, team: red, tags: [env:prod], rpm: 5, budget: {{ total: $1 }} }}\n"
            "teams:\n  red: { budget: { day: $1 } }\ntags:\n  env:prod: { budget: { month: $1 } }\n"
            "routes:\n  poor: { targets: [lab/fine], budget: { week: $0.0001 } }\n  fine: { targets: [lab/fine] }\n")
    with House(more) as g:
        faults = []
        for _ in range(20):
            status, text, _ = g.ask(SECRET, chat("poor", max_tokens=1000))
            if status != 402 or "route poor" not in text:
                faults.append(f"{status} {text}")
                break
        used = window(g.usage(SECRET))
        if used["reserved_nano"] or used["spent_nano"]:
            faults.append(f"{used}")
        if g.ask(SECRET, chat("fine", max_tokens=10))[0] != 200:
            faults.append("what was refused counts against the requests a minute")
        return faults + g.agrees()


def streams_that_grow_side_by_side_share_one_budget():
    """24 streams without a maximum, each topped up in steps, with one worker and four."""
    faults = []
    for workers in (1, 4):
        more = f"reserve_output: 200\nkeys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $0.02 }} }}\n"
        with House(more, workers) as g:
            threads = [threading.Thread(target=g.ask, args=(SECRET, chat("lab/long", stream=True))) for _ in range(24)]
            for t in threads:
                t.start()
            for t in threads:
                t.join(60)
            spent = g.spent()
            if not 10_000_000 < spent <= 20_000_000:
                faults.append(f"{workers} workers: spent {spent} of 20000000")
            faults += g.agrees()
    return faults


def clients_that_leave_at_any_moment_are_charged_and_settled():
    with House(KEY) as g:
        dice, faults = random.Random(7), []
        threads = [threading.Thread(target=g.leaves, args=(
            chat(dice.choice(["lab/slowly", "lab/fine", "lab/long"]), stream=dice.random() < 0.7, max_tokens=300),
            dice.choice([0, dice.random() * 0.02, dice.random() * 0.6]), dice.choice(["close", "reset"]))) for _ in range(80)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        time.sleep(3)
        for r in g.rows():
            if r["state"] != "done" or (r["outcome"] == "ok" and r["cost_nano"] != OK_COST):
                faults.append(f"{r['state']} {r['outcome']} {r['cost_nano']}")
            if r["outcome"] == "cancelled" and r["attempts"] and not r["cost_nano"]:
                faults.append(f"sent upstream and free: {r}")
        return faults[:5] + g.agrees()


def a_stream_across_a_minutes_end_is_charged_to_its_own_minute():
    more = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ minute: $0.005, total: $1 }} }}\n"
    with House(more) as g:
        rest = 60 - time.time() % 60
        time.sleep((rest - 1.5) % 60)
        faults, answer = [], {}
        t = threading.Thread(target=lambda: answer.update(status=g.ask(SECRET, chat("lab/rolls", stream=True, max_tokens=2000))[0]))
        t.start()
        time.sleep(0.5)
        before = window(g.usage(SECRET), "minute")
        if not before["reserved_nano"] or before["spent_nano"]:
            faults.append(f"before: {before}")
        status, text, r = g.ask(SECRET, chat("lab/fine", max_tokens=2000))
        wait = int(r.getheader("retry-after") or -1)
        if status != 429 or not 0 <= wait <= 2 or "budget of the minute" not in text:
            faults.append(f"in that minute: {status} {text} {wait}")
        time.sleep(60 - time.time() % 60 + 0.2)
        status, text, r = g.ask(SECRET, chat("lab/fine", max_tokens=1900))
        if status != 200:
            faults.append(f"in the next minute: {status} {text}")
        t.join()
        after = window(g.usage(SECRET), "minute")
        if answer.get("status") != 200 or after["spent_nano"] != OK_COST or after["reserved_nano"]:
            faults.append(f"after: {answer} {after}")
        if g.spent() != 2 * OK_COST:
            faults.append(f"in all {g.spent()}")
        return faults + g.agrees()


TESTS = [attempts_that_may_have_cost_stay_charged, what_no_attempt_earned_is_free,
         a_second_attempt_that_can_not_be_paid_is_not_made, death_in_a_later_attempt_charges_all_of_them,
         images_are_charged_though_nobody_waits_for_them, lies_about_usage_never_pay_back_and_never_overflow,
         usage_said_twice_counts_once, a_key_that_changes_in_mid_stream_pays_for_it,
         credit_that_is_reserved_can_not_be_handed_on, one_budget_that_refuses_leaves_the_others_whole,
         streams_that_grow_side_by_side_share_one_budget, clients_that_leave_at_any_moment_are_charged_and_settled,
         a_stream_across_a_minutes_end_is_charged_to_its_own_minute]


def main():
    return tap.run([tap.test(t) for t in TESTS if not sys.argv[1:] or any(a in t.__name__ for a in sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
