#!/usr/bin/env python3
"""No way to spend more than was granted, over real sockets: 64 clients at a barrier against a nearly
empty budget of a key, a team, a tag and a route, with one worker and four; a dearer target after a
cheap one; streams that outgrow what is left; requests that nothing bounds; tags that a client says.
After each: what the key, its rows and the ledger say is one number. Prints TAP."""
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import gateway  # noqa: E402

NANO = 1_000_000_000
CONFIG = """
providers:
  lab:  {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
  dear: {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
  bad:  {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
prices:
  lab/*:  {{ input: 1, output: 2, cached: 0.5 }}
  dear/*: {{ input: 100, output: 1000 }}
  bad/*:  {{ input: 1, output: 2 }}
alarms: {{ repeats: off }}
"""


class House(gateway.Gateway):
    def __init__(self, more, workers=2, providers=""):
        super().__init__()
        self.mock = subprocess.Popen([os.path.join(gateway.BUILD, "tests/mock/mock")], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
        port = int(self.mock.stdout.readline().decode().strip().rsplit(":", 1)[1])
        text = CONFIG.format(port=port).replace("providers:\n", "providers:\n" + providers.replace("PORT", str(port)))
        self.write_config(text + f"workers: {workers}\n" + more)

    def __enter__(self):
        try:
            self.start()
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.remove()
        self.mock.send_signal(signal.SIGTERM)
        self.mock.wait()
        self.mock.stdout.close()

    def ask(self, key, body, path="/v1/chat/completions", headers=()):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("POST", path, json.dumps(body), {"content-type": "application/json",
                                                   "authorization": f"Bearer {key}", **dict(headers)})
        r = c.getresponse()
        try:
            text = r.read()
        except http.client.IncompleteRead as cut:  # a stream that was cut never ends cleanly
            text = cut.partial
        c.close()
        return r.status, text.decode("utf-8", "replace"), r

    def usage(self, key):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("GET", "/v1/usage", headers={"authorization": f"Bearer {key}"})
        out = json.loads(c.getresponse().read())
        c.close()
        return out

    def rows(self):
        time.sleep(0.3)
        code, out, err = self.command("tail", "--no-follow", "--json", "--limit", "100000", seconds=60)
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def events(self, kind):
        code, out, err = self.command("events", "--json", "--limit", "500")
        assert code == 0, err
        return [e for e in map(json.loads, out.splitlines()) if e["kind"] == kind]

    def proves(self):
        """The database agrees with itself; again after kill -9."""
        for _ in range(2):
            code, out, err = self.command("db", "check", seconds=60)
            if code != 0:
                return [out + err]
            self.kill()
            self.start()
        return []


def chat(model, **more):
    return {"model": model, "messages": [{"role": "user", "content": "hello there"}], **more}


def window(usage, name="total"):
    return next(w for w in usage["windows"] if w["window"] == name)


SECRET = "money-key-0123456789abcdef"


def race(house, clients=64, rounds=6, model="lab/plain"):
    """Every client asks until the budget refuses; the costs of all answers."""
    barrier, lock, codes = threading.Barrier(clients), threading.Lock(), {}

    def one():
        barrier.wait()
        for _ in range(rounds):
            status, _, _ = house.ask(SECRET, chat(model, max_tokens=60))
            with lock:
                codes[status] = codes.get(status, 0) + 1
    threads = [threading.Thread(target=one) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    return codes


LIMITS = {
    "key": "keys:\n  ci: {{ secret: {s}, budget: {{ total: {b} }} }}\n",
    "team": "keys:\n  ci: {{ secret: {s}, team: red, budget: {{ total: $9 }} }}\nteams:\n  red: {{ budget: {{ day: {b}, total: $7 }} }}\n",
    "the second tag": "keys:\n  ci: {{ secret: {s}, team: red, tags: [env:prod, project:search] }}\n"
                      "tags:\n  env:prod: {{ budget: {{ total: $9 }} }}\n  project:search: {{ budget: {{ month: {b} }} }}\n",
    "route": "keys:\n  ci: {{ secret: {s}, team: red, tags: [env:prod] }}\ntags:\n  env:prod: {{ budget: {{ total: $9 }} }}\n"
             "routes:\n  fast: {{ targets: [lab/plain], budget: {{ week: {b} }} }}\n",
}


def a_race_of_64_never_overspends():
    faults = []
    budget = 20_000_000  # a request reserves up to 660,000 nano-USD and costs 224,000
    for name, text in LIMITS.items():
        for workers in (1, 4):
            with House(text.format(s=SECRET, b="$0.02"), workers) as g:
                model = "fast" if name == "route" else "lab/plain"
                codes = race(g, model=model)
                while g.ask(SECRET, chat(model, max_tokens=60))[0] == 200:  # the last ones, one by one
                    codes[200] += 1
                rows = g.rows()
                spent = sum(r["cost_nano"] for r in rows)
                ok = sum(r["outcome"] == "ok" for r in rows)
                where = f"{name}, {workers} workers: {codes}"
                if spent > budget:
                    faults.append(f"{where}: spent {spent} of {budget}")
                if spent < budget - 700_000:
                    faults.append(f"{where}: {budget - spent} nano-USD stay unspendable")
                if ok != codes.get(200) or set(codes) - {200, 402, 429}:
                    faults.append(f"{where}: {ok} rows are ok")
                faults += [f"{where}: {f}" for f in g.proves()]
                status, text2, _ = g.ask(SECRET, chat(model, max_tokens=60))
                if status == 200:
                    faults.append(f"{where}: after kill -9 the budget is forgotten: {text2[:100]}")
    return faults


def a_dearer_target_needs_its_own_reserve():
    """The first target fails; the second costs more than is left: it is not asked."""
    more = f"""keys:
  ci: {{ secret: {SECRET}, budget: {{ total: $0.01 }} }}
routes:
  two: {{ targets: [bad/status-500], fallback: [dear/plain] }}
"""
    with House(more) as g:
        status, text, _ = g.ask(SECRET, chat("two", max_tokens=60))
        row = g.record()
        faults = [] if status == 402 and "total budget" in text else [f"{status} {text}"]
        if [a["outcome"] for a in row["attempts"]][-1] != "refused" or row["cost_nano"]:
            faults.append(f"attempts {row['attempts']} cost {row['cost_nano']}")
        used = window(g.usage(SECRET))
        if used["reserved_nano"] or used["spent_nano"]:
            faults.append(f"what was reserved in vain did not come back: {used}")
        return faults


def a_stream_is_cut_where_the_money_ends():
    """Without a maximum; 4,000 deltas of some 10 tokens at $2 a million; cut, marked, never more."""
    base = f"reserve_output: 200\nkeys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $0.004 }} }}\n"
    faults = []
    for rule in ("cut", "debt"):
        with House(base + f"top_up: {rule}\n") as g:
            status, text, _ = g.ask(SECRET, chat("lab/stream-600x0ms-b40", stream=True))
            row = g.record()
            used = window(g.usage(SECRET))
            if rule == "cut":
                if status != 200 or "total budget" not in text or "[DONE]" in text:
                    faults.append(f"cut: {status} …{text[-300:]}")
                if row["outcome"] != "refused" or row["cost_nano"] > 4_000_000 or used["spent_nano"] != row["cost_nano"]:
                    faults.append(f"cut: {row['outcome']} {row['cost_nano']} {used}")
            elif "[DONE]" not in text or row["outcome"] != "ok" or used["spent_nano"] != row["cost_nano"]:
                faults.append(f"debt: {row['outcome']} {row['cost_nano']} {used} …{text[-200:]}")
            again, text, _ = g.ask(SECRET, chat("lab/plain", max_tokens=2000))
            if again not in (402, 429):
                faults.append(f"{rule}: then {again} {text}")
            faults += g.proves()
    return faults


def what_nothing_bounds_is_refused_and_says_what_to_do():
    keys = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $5 }} }}\n  open: {{ secret: open-{SECRET} }}\n"
    faults = []
    with House(keys) as g:
        for what, body, words in (
                ("no maximum", chat("lab/plain"), ("maximum of output tokens", "max_output", "unbounded: debt")),
                ("a URL", {"model": "lab/plain", "max_tokens": 9, "messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}, ("by content", "context"))):
            status, text, _ = g.ask(SECRET, body)
            if status != 400 or "unbounded_cost" not in text or any(w not in text for w in words):
                faults.append(f"{what}: {status} {text}")
            if g.ask("open-" + SECRET, body)[0] != 200:
                faults.append(f"{what}: a key without a budget is refused too")
        if g.ask(SECRET, chat("lab/stream-3x0ms", stream=True))[0] != 200:
            faults.append("a stream without a maximum is refused")
    with House(keys + "unbounded: debt\n") as g:
        if g.ask(SECRET, chat("lab/plain"))[0] != 200:
            faults.append("unbounded: debt refuses")
    known = "".join(f"  lab/{m}: {{ input: 1, output: 2, {x} }}\n" for m, x in
                    (("plain", "max_output: 1000"), ("b5", "context: 8000")))
    with House(keys) as g:
        text = open(g.config, encoding="utf-8").read()
        g.write_config(text.replace("prices:\n", "prices:\n" + known))
        code, out, err = g.command("config", "apply")
        for m in ("plain", "b5"):
            status, text, _ = g.ask(SECRET, chat("lab/" + m))
            if status != 200 or g.record()["cost_nano"] <= 0:
                faults.append(f"{m} with a known maximum: {status} {text} {out}{err}")
    return faults


def an_unknown_price_is_marked_or_refused_everywhere():
    keys = f"keys:\n  ci: {{ secret: {SECRET} }}\nroutes:\n  two: {{ targets: [bad/status-500], fallback: [free/plain] }}\n"
    faults = []
    for rule, wanted in (("allow", 200), ("refuse", 403)):
        free = "  free: { dialect: openai, base_url: 'http://127.0.0.1:PORT/v1', api_key: 'sk-lab-0123456789abcdef0' }\n"
        with House(keys + f"unknown_price: {rule}\n", providers=free) as g:
            status, text, _ = g.ask(SECRET, chat("free/plain", max_tokens=5))
            if status != wanted or (wanted == 403 and "prices import" not in text):
                faults.append(f"{rule}: {status} {text}")
            elif wanted == 200 and g.record()["cost_source"] != "none":
                faults.append(f"{rule}: {g.record()}")
            status, text, _ = g.ask(SECRET, chat("two", max_tokens=5))
            if (status == 200) != (rule == "allow"):
                faults.append(f"{rule}, after a failure: {status} {text}")
    return faults


def a_client_can_not_say_another_teams_tag():
    more = f"""keys:
  ci: {{ secret: {SECRET}, tags: [project:a] }}
  prod: {{ secret: prod-{SECRET}, tags: [env:prod] }}
tags:
  env:prod: {{ budget: {{ total: $0.005 }} }}
"""
    with House(more) as g:
        faults = []
        said = {"x-pointsman-tags": "env:prod, project:a, run:7"}
        for _ in range(5):
            g.ask(SECRET, chat("lab/plain", max_tokens=60), headers=said.items())
        if g.record()["tags"] not in ("project:a,run:7", ["project:a", "run:7"]):
            faults.append(f"tags are {g.record()['tags']!r}")
        g.kill()
        g.start()
        if g.ask("prod-" + SECRET, chat("lab/plain", max_tokens=60))[0] != 200:
            faults.append("another key has spent what the tag may")
        return faults


def a_sliding_minute_can_not_be_pushed():
    """Slow uploads tell an old time; they must not make the minute of requests pass faster."""
    with House(f"keys:\n  ci: {{ secret: {SECRET}, rpm: 5 }}\n", 4) as g:
        codes = [g.ask(SECRET, chat("lab/plain", max_tokens=5))[0] for _ in range(12)]
        return [] if codes.count(200) == 5 else [str(codes)]


def entries(g, key, *words):
    code, out, err = g.command("key", "show", key, "--ledger", "--json", "--limit", "1000", *words)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def credit_is_granted_spent_refunded_and_handed_on():
    more = f"credits_per_dollar: 1000\nkeys:\n  bob: {{ secret: {SECRET} }}\n  eve: {{ secret: eve-{SECRET} }}\n"
    with House(more) as g:
        faults = []

        def said(words, wanted, code=0):
            got, out, err = g.command("key", "grant", *words)
            if got != code or wanted not in out + err:
                faults.append(f"{words}: {got} {out}{err}")
        g.ask(SECRET, chat("lab/plain", max_tokens=60))
        said(["bob", "5"], "5 credits")  # half a cent; what was spent before is not taken from it
        said(["bob", "1usd"], "1,005 credits")
        said(["bob", "-1usd"], "5 credits")
        said(["bob", "0"], "zero", 1)
        said(["eve", "1", "--request", "x"], "no prepaid credit", 1)
        g.ask(SECRET, chat("lab/plain", max_tokens=60))
        request = g.record()["id"]
        said(["bob", "1", "--request", request], "more than the request has cost", 1)
        said(["bob", "0.1", "--request", request], "4.88")
        said(["eve", "4.9", "--from", "bob"], "does not have that much", 1)
        said(["eve", "4", "--from", "bob"], "4 credits")
        if g.usage(SECRET)["credit_nano"] != 5_000_000 - 224_000 + 100_000 - 4_000_000:
            faults.append(str(g.usage(SECRET)))
        if g.usage(SECRET)["credit"] != "0.8760 credits":
            faults.append(str(g.usage(SECRET)))
        time.sleep(0.5)
        book = entries(g, "bob")
        kinds = [e["kind"] for e in book]
        if kinds != ["transfer", "refund", "settle", "release", "reserve", "grant", "grant", "grant", "opening",
                     "settle", "release", "reserve"]:
            faults.append(f"{kinds}")
        if sum(e["amount_nano"] for e in book) != 876_000:
            faults.append(f"the entries are worth {sum(e['amount_nano'] for e in book)}")
        if {e["request"] for e in book if e["kind"] in ("settle", "refund")} != {request, book[-1]["request"]}:
            faults.append("an entry does not lead to its request")
        status, text, _ = g.ask(SECRET, chat("lab/plain", max_tokens=2000))
        if status != 402 or "insufficient_credit" not in text:
            faults.append(f"{status} {text}")
        faults += g.proves()
        if g.usage(SECRET)["credit_nano"] != 876_000 or g.usage("eve-" + SECRET)["credit_nano"] != 4_000_000:
            faults.append(f"after a restart: {g.usage(SECRET)}")
        return faults


def a_budget_near_its_end_is_said_once():
    more = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ month: $0.01, total: $9 }} }}\n"
    with House(more) as g:
        for _ in range(37):
            g.ask(SECRET, chat("lab/plain", max_tokens=20))
        time.sleep(3)
        first = g.events("BUDGET_NEAR")
        g.kill()
        g.start()
        time.sleep(3)
        again = [e for e in g.events("BUDGET_NEAR") if e["time_ms"] > first[0]["time_ms"]] if first else []
        return [] if len(first) == 1 and not again else [f"said {len(first)} and {len(again)} times"]


TESTS = [credit_is_granted_spent_refunded_and_handed_on, a_budget_near_its_end_is_said_once,
         a_race_of_64_never_overspends, a_dearer_target_needs_its_own_reserve,
         a_stream_is_cut_where_the_money_ends, what_nothing_bounds_is_refused_and_says_what_to_do,
         an_unknown_price_is_marked_or_refused_everywhere, a_client_can_not_say_another_teams_tag,
         a_sliding_minute_can_not_be_pushed]


def main():
    chosen = [t for t in TESTS if not sys.argv[1:] or any(a in t.__name__ for a in sys.argv[1:])]
    print(f"1..{len(chosen)}")
    bad = 0
    for number, test in enumerate(chosen, 1):
        try:
            faults = test()
        except Exception as error:  # noqa: BLE001: any trouble is a failed test, with its words
            faults = [repr(error)]
        bad += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} - {test.__name__.replace('_', ' ')}", flush=True)
        for fault in faults[:10]:
            print("    # " + fault.replace("\n", "\n    # ")[:1500])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
