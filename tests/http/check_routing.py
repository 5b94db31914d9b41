#!/usr/bin/env python3
"""Routing over real sockets: every policy against providers with known speeds, prices and limits; a
breaker from its opening to its probe; switches under a load that goes on. Prints TAP."""
import concurrent.futures
import json
import os
import sys
import threading
import time
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import tap  # noqa: E402
from yard import Yard  # noqa: E402

ROUTES = """
  pri:    { targets: [a/m, b/m] }
  wei:    { policy: weighted, targets: [{ to: a/m, weight: 75 }, { to: b/m, weight: 25 }] }
  rob:    { policy: round-robin, targets: [a/m, b/m, c/m] }
  bus:    { policy: least-busy, targets: [slow/m, b/m] }
  lat:    { policy: lowest-latency, targets: [slow/m, b/m] }
  cos:    { policy: lowest-cost, targets: [a/m, b/m, c/m] }
  usa:    { policy: usage, targets: [a/m, b/m] }
  sti:    { policy: sticky, targets: [a/m, b/m, c/m] }
  brk:    { targets: [frail/m, c/m], retry: { attempts: 1 } }
  fast:   { targets: [a/m] }
"""


def each_policy_keeps_its_promise(y):
    assert y.shares("pri", 20) == {"a": 20}
    drawn = y.shares("wei", 400, 8)
    assert 260 <= drawn["a"] <= 340, drawn
    assert y.shares("rob", 30) == {"a": 10, "b": 10, "c": 10}
    busy = y.shares("bus", 60, 6)  # the slow one is nearly always the busier one
    assert busy["b"] > 2 * busy["slow"] > 0, busy
    y.shares("lat", 6)
    quick = y.shares("lat", 40)
    assert quick["b"] >= 38, quick
    assert y.shares("cos", 20) == {"b": 20}
    y.servers["a"].headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "3",
                               "x-ratelimit-reset-requests": "60s"}
    y.servers["b"].headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "90"}
    y.shares("pri", 1), y.run("route", "switch", "pri", "b/m"), y.shares("pri", 1), y.run("route", "undo")
    room = y.shares("usa", 20)
    assert room["b"] == 20, room
    y.servers["a"].headers = y.servers["b"].headers = {}


def a_session_sticks_and_others_spread(y):
    sides = {f"s{i}": y.ask("sti", f"s{i}")[0] for i in range(24)}
    assert len(set(sides.values())) == 3, sides
    for session, side in sides.items():
        assert {y.ask("sti", session)[0] for _ in range(4)} == {side}


def a_breaker_opens_counts_down_and_lets_one_probe_close_it(y):
    frail = y.servers["frail"]
    frail.status = 500
    assert y.shares("brk", 12) == {"c": 12}  # no client saw any of it
    hit = frail.seen
    assert hit < 8, hit
    target = y.json("route", "show", "brk")["targets"][0]
    assert target["health"] == "down" and target["open_for_us"] > 0, target
    assert y.shares("brk", 5) == {"c": 5} and frail.seen == hit
    frail.status = 200
    end = time.time() + 20
    while y.ask("brk")[0] != "frail" and time.time() < end:
        time.sleep(0.2)
    assert y.shares("brk", 5) == {"frail": 5}
    y.run("provider", "trip", "frail", "--for", "1h")
    assert y.shares("brk", 5) == {"c": 5}
    assert "by hand" in json.dumps(y.json("route", "explain", "brk"))
    y.run("provider", "clear", "frail")
    assert y.shares("brk", 5) == {"frail": 5}
    y.run("route", "switch", "elsewhere", "frail/m")
    dry = y.json("provider", "drain", "frail", "--dry-run")
    assert {m["route"]: m["to"] for m in dry["moves"]}["elsewhere, switched for everyone"] == "", dry
    assert dry["nowhere"] == 1, dry
    y.run("route", "undo")
    y.run("provider", "drain", "frail")
    assert y.shares("brk", 5) == {"c": 5}
    y.run("provider", "undrain", "frail")
    assert y.shares("brk", 5) == {"frail": 5}


def switches_under_load_lose_nothing_and_mix_nothing(y):
    """40 streams at any time; each must be whole and of one provider, and whoever began after a switch
    had returned must have gone the new way."""
    log, stop, lock = [], threading.Event(), threading.Lock()

    def client():
        while not stop.is_set():
            began = time.monotonic()
            try:
                name, text = y.ask("fast", stream=True)
            except (OSError, urllib.error.URLError) as error:
                name, text = "error", str(error)
            with lock:
                log.append((began, name, text))

    threads = [threading.Thread(target=client, daemon=True) for _ in range(40)]
    for t in threads:
        t.start()
    changes = [(time.monotonic() - 60, time.monotonic() - 60, "a")]
    for i in range(8):
        time.sleep(0.25)
        to, before = "b" if i % 2 == 0 else "a", time.monotonic()
        y.run("route", "switch", "fast", f"{to}/m")
        changes.append((before, time.monotonic(), to))
    time.sleep(0.3)
    stop.set()
    for t in threads:
        t.join(30)
    assert len(log) > 100, len(log)
    for began, name, text in log:
        assert name in ("a", "b") and "[DONE]" in text, (name, text[:200])
        assert all(f'"{name}{i} "' in text for i in range(20)), (name, text[:300])
        assert ('"b' in text.replace('"a', "")) == (name == "b")
        certain = [to for before, after, to in changes if after <= began][-1]
        under_way = [to for before, after, to in changes if before <= began < after]
        assert name == certain or name in under_way, (name, certain)
    y.run("route", "undo")


def a_session_is_switched_alone_under_load_of_others(y):
    y.run("route", "switch", "fast", "a/m")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        others = [pool.submit(y.ask, "fast", f"o{i % 5}") for i in range(150)]
        y.run("route", "switch", "fast", "c/m", "--session", "mine")
        mine = [y.ask("fast", "mine")[0] for _ in range(20)]
        assert set(mine) == {"c"}, mine
        assert {f.result()[0] for f in others} == {"a"}


def main():
    y = Yard(ROUTES)
    try:
        return tap.run([tap.test(check, y) for check in (
            each_policy_keeps_its_promise, a_session_sticks_and_others_spread,
            a_breaker_opens_counts_down_and_lets_one_probe_close_it,
            switches_under_load_lose_nothing_and_mix_nothing, a_session_is_switched_alone_under_load_of_others)])
    finally:
        y.close()


if __name__ == "__main__":
    sys.exit(main())
