#!/usr/bin/env python3
"""What failover and live state promise, over real sockets: a canary taken back by cost and by errors, for
good; a spike of latency; pauses before a retry; a plug that is pulled; queues; the exported file. Prints TAP."""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fault  # noqa: E402
import tap  # noqa: E402
from yard import BIN, Yard  # noqa: E402

ROUTES = """
  dear:   { targets: [a/m], canary: { to: c/m, share: 50%, max_errors: off, max_cost: 150% } }
  weak:   { targets: [a/m], canary: { to: frail/m, share: 50%, max_errors: 20% } }
  quick:  { goal: latency, targets: [a/m, b/m] }
  plug:   { policy: round-robin, targets: [a/m, b/m] }
  again:  { targets: [frail/m], retry: { attempts: 3 } }
  held:   { targets: [frail/m, b/m], hold: 5s }
  bare:   { targets: [frail/m, b/m] }
  line:   { targets: [slow/m] }
  fast:   { targets: [a/m] }
  "gpt-*": { targets: [b/m], rules: [{ name: big, if: { prompt_tokens: ">10k" }, use: c/m }] }
"""


def wait_for(look, seconds=10):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


def a_dear_canary_is_taken_back_for_good(y):
    y.servers["c"].tokens = 5  # 15 tokens at $2 against 15 at $3: cheaper on the list and in fact
    drawn = y.shares("dear", 100, 8)
    assert drawn["c"] > 20, drawn
    drawn = y.shares("dear", 60, 8)
    assert drawn["c"] > 10, drawn
    y.servers["c"].tokens = 200  # the list says the same; its answers got long
    wait_for(lambda: y.shares("dear", 20, 8)["c"] == 0, 30)
    canary = wait_for(lambda: (lambda c: c if c["why"] else None)(y.json("route", "show", "dear")["canary"]))
    assert canary["taken_back"] and canary["why"] == "taken back: too dear" and canary["to"] == "c/m", canary
    assert "too dear" in y.run("audit") and "canary/dear" in json.dumps(y.json("config", "diff"))
    y.stop()
    y.start()
    assert y.shares("dear", 30, 8) == {"a": 30}
    assert "# taken back: canary: { to: c/m" in y.run("config", "export")
    y.servers["c"].tokens = 5
    revision = next(r["revision"] for r in y.lines("audit") if "too dear" in r["what"])
    y.run("route", "undo", "--rev", str(revision))
    wait_for(lambda: y.shares("dear", 20, 8)["c"] > 0)


def a_failing_canary_is_taken_back_and_no_client_saw_it(y):
    y.servers["frail"].status = 500
    drawn = y.shares("weak", 60, 4)
    assert drawn == {"a": 60}, drawn
    wait_for(lambda: y.json("route", "show", "weak")["canary"]["why"] == "taken back: too many errors")
    y.servers["frail"].status = 200
    y.run("provider", "clear", "frail")
    assert y.shares("weak", 20) == {"a": 20}


def a_goal_latency_leaves_a_target_that_spikes(y):
    if not y.control:
        raise tap.Skip("no clock can be put forward here")
    assert y.shares("fast", 20, 4) == {"a": 20}
    y.control.set(mono_us=600 * 10**6)  # that was ten minutes ago
    y.servers["a"].delay = 0.4
    y.shares("fast", 8, 8)
    assert y.shares("quick", 12, 3) == {"b": 12}
    assert "slower than in its last hour" in json.dumps(y.json("route", "explain", "quick"))
    y.servers["a"].delay = 0.01
    y.control.set(mono_us=1200 * 10**6)  # the minute of the spike has passed
    assert y.shares("quick", 40, 3)["a"] > 5


def a_plug_that_is_pulled_costs_nobody_an_answer(y):
    stop, log = threading.Event(), []

    def client():
        while not stop.is_set():
            try:
                log.append(y.ask("plug")[0])
            except OSError as error:
                log.append(f"error: {error}")

    threads = [threading.Thread(target=client, daemon=True) for _ in range(6)]
    for t in threads:
        t.start()
    time.sleep(0.6)
    y.servers["b"].pull()
    before = len(log)
    time.sleep(1.5)
    stop.set()
    for t in threads:
        t.join(20)
    assert not [x for x in log if x.startswith("error")], set(log)
    assert {"a", "b"} == set(log) and len(log) - before > 50, len(log)
    assert set(log[-20:]) == {"a"}
    explained = json.dumps(y.json("route", "explain", "plug"))
    assert "breaker open" in explained and "connection failed" in explained, explained


def pauses_before_a_retry_are_what_was_asked_for_or_jitter(y):
    frail, pauses = y.servers["frail"], []
    frail.status, frail.headers = 429, {"retry-after": "1"}
    frail.times.clear()
    try:
        y.ask("again")
    except OSError:
        pass
    assert len(frail.times) >= 2 and frail.times[1] - frail.times[0] >= 0.99, frail.times
    y.run("provider", "clear", "frail")
    frail.status, frail.headers = 500, {}
    for _ in range(4):
        frail.times.clear()
        try:
            y.ask("again")
        except OSError:
            pass
        y.run("provider", "clear", "frail")
        assert len(frail.times) == 3, frail.times
        pauses.append(frail.times[1] - frail.times[0])
    frail.status = 200
    assert max(pauses) <= 0.75 and max(pauses) - min(pauses) > 0.01, pauses  # full jitter: 0 to 0.5 s


def a_hold_lets_an_error_as_first_event_fail_over(y):
    frail = y.servers["frail"]
    frail.first_event = 'data: {"error": {"message": "overloaded", "type": "server_error", "code": 503}}\n\n'
    name, text = y.ask("held", stream=True)
    assert name == "b" and "b19 " in text and "overloaded" not in text, (name, text)
    frail.first_event = ""
    y.run("provider", "clear", "frail")


def a_queue_is_fair_visible_and_has_an_end(y):
    def one(i):
        time.sleep(i * 0.02)
        try:
            return y.ask("line")[0]
        except OSError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(one, i) for i in range(12)]
        queued = wait_for(lambda: next(p for p in y.lines("provider", "list") if p["name"] == "slow")["queued"], 3)
        done = [job.result() for job in jobs]
    assert queued > 0 and done.count("slow") >= 3, done
    assert all("503" in x for x in done if x != "slow") and done.count("slow") < 12, done  # max_wait
    rows = sorted((r for r in y.lines("ps") if r["route"] == "line"), key=lambda r: r["time"])
    assert len(rows) == 12, len(rows)
    assert all(r["queue_us"] < 1500000 for r in rows), [(r["status"], r["queue_us"], r["outcome"]) for r in rows]
    waits = [(r["time"], r["queue_us"]) for r in rows if r["outcome"] == "ok"]
    assert all(b >= a for (_, a), (_, b) in zip(waits, waits[1:])), waits  # who came later waited longer: FIFO


def the_exported_file_reproduces_the_present_state(y):
    y.run("route", "switch", "fast", "b/m")
    y.run("route", "switch", "gpt-5", "c/m", "--session", "mine")
    y.run("route", "switch", "never-heard-of", "a/m")
    y.run("provider", "drain", "slow", "--to", "b/m")
    y.run("key", "add", "bob", "20/week", "models:fast,gpt-*")
    exported = y.run("config", "export")
    path = os.path.join(y.home, "exported.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(exported.replace(os.path.join(y.home, "d"), os.path.join(y.home, "d2")))
    base = [BIN, "--config", path, "--data", os.path.join(y.home, "d2")]
    checked = subprocess.run(base + ["config", "check"], capture_output=True, text=True, env=y.plain_env)
    new = subprocess.Popen(base + ["serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env=y.plain_env)
    try:
        line = new.stdout.readline()
        assert line, (checked.stdout, checked.stderr, new.stderr.read())
        diff = json.loads(subprocess.run(base + ["config", "diff", "--json"], capture_output=True, text=True,
                                         env=y.plain_env).stdout)
        assert diff["drift"] == [] and diff["file"] == "", diff
        again = subprocess.run(base + ["config", "export"], capture_output=True, text=True, env=y.plain_env).stdout
        told = [x for x in again.splitlines() if x.strip() and not x.strip().startswith("#")]
        wanted = [x for x in exported.splitlines() if x.strip() and not x.strip().startswith("#")]
        missing = [x for x in wanted if x.split("#")[0].strip() and x.split("#")[0].strip() not in again
                   and not x.startswith(("data:", "socket:", "listen:"))]
        assert not missing, (missing, told)
    finally:
        new.terminate()
        new.wait(20)
        y.run("key", "revoke", "bob")


def a_switch_outlives_an_edit_of_the_file_and_a_restart(y):
    y.run("route", "switch", "quick", "c/m")
    y.write(ROUTES.replace("quick:  { goal: latency, targets: [a/m, b/m] }", "quick:  { targets: [b/m] }"))
    answer = y.run("config", "apply")
    assert "quick" in answer and "kept" in answer, answer
    assert y.ask("quick")[0] == "c"
    y.stop()
    y.start()
    assert y.ask("quick")[0] == "c"
    assert any("quick" in d["object"] for d in y.json("config", "diff")["drift"])
    y.run("config", "apply", "--reset")
    assert y.ask("quick")[0] == "b"
    assert y.json("config", "diff")["drift"] == []


def main():
    control, env, folder = None, {}, tempfile.mkdtemp(prefix="pm-clock-")
    if fault.usable():
        path = os.path.join(folder, "fault")
        control, env = fault.Control(path), {"LD_PRELOAD": fault.LIBRARY, "POINTSMAN_FAULT": path}
    y = Yard(ROUTES, {"slow": ", max_concurrent: 1, max_wait: 1s"}, env)
    y.control = control
    try:
        return tap.run([tap.test(check, y) for check in (
            a_dear_canary_is_taken_back_for_good, a_failing_canary_is_taken_back_and_no_client_saw_it,
            a_goal_latency_leaves_a_target_that_spikes,
            pauses_before_a_retry_are_what_was_asked_for_or_jitter, a_hold_lets_an_error_as_first_event_fail_over,
            a_queue_is_fair_visible_and_has_an_end, the_exported_file_reproduces_the_present_state,
            a_switch_outlives_an_edit_of_the_file_and_a_restart, a_plug_that_is_pulled_costs_nobody_an_answer)])
    finally:
        y.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
