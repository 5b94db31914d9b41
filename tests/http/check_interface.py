#!/usr/bin/env python3
"""What people type and read, where no other suite tries it: forms of output, exits, the order of rows, where a
configuration is looked for, defaults, amounts on the command line, the lock, systemd's notices. Which test proves
which sentence of the interface: tests/proofs.txt. Prints TAP."""
import concurrent.futures
import fcntl
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from house import House  # noqa: E402

AMOUNT = re.compile(r"\$\d")
READING = (["status"], ["ps"], ["tail", "--no-follow"], ["export"], ["route", "list"], ["route", "show", "fast"],
           ["route", "explain", "fast"], ["route", "whatif", "fast", "two/m2"], ["profile", "list"], ["key", "list"], ["key", "show", "ci"],
           ["provider", "list"], ["provider", "sealed"], ["provider", "detect"], ["cost", "report"], ["cost", "report", "--by", "key"],
           ["config", "check"], ["config", "diff"], ["config", "options"], ["prices", "list"], ["db", "check"], ["audit"], ["events"],
           ["doctor"], ["version"])


def run(g, *words, env=None, code=None):
    done = subprocess.run([gateway.BINARY, *words], env=dict(g.env, **(env or {})), cwd=g.folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert code is None or done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-500:]}"
    return done


def objects(words, text):
    """One object, or one object a line (of a list that is empty: none)."""
    try:
        found = [json.loads(text)]
    except ValueError:
        try:
            found = [json.loads(row) for row in text.splitlines()]
        except ValueError:
            raise AssertionError(f"{words}: {text[:200]!r}") from None
    assert all(isinstance(value, dict) for value in found), f"{words}: {text[:200]!r}"
    assert found or words[-2:] in (["profile", "list"], ["provider", "sealed"], ["provider", "detect"]), f"{words} says nothing"


def every_reading_verb_takes_json(g):
    g.run("key", "add", "ci", "20/week")
    secret = json.loads(g.run("key", "add", "me", "20usd", "--json").stdout)["secret"]
    for _ in range(3):
        g.ask(authorization="Bearer " + secret).read()
    time.sleep(1.2)
    for words in READING:
        text = g.run(*words, "--json", code=None)
        assert text.returncode in (0, 1) and not text.stderr, f"{words}: {text.returncode} {text.stderr}"
        objects(words, text.stdout)
        objects(["--json", *words], g.run("--json", *words, code=None).stdout)


def verbs_that_are_not_built_are_unknown(g):
    every = g.run("help").stdout
    for verb in ("replay", "compare", "intercept", "mock", "trial", "eval", "invite", "redeem"):
        done = g.run(verb, code=2)
        assert f'no verb "{verb}"' in done.stderr, done.stderr
        assert not re.search(rf"pointsman {verb}\b", every), f"{verb} stands in the help"


def exits_say_what_became_of_it(g):
    g.run("version", code=0)
    g.run("route", "switch", "fast", "nobody/none", code=1)
    g.run("show", "01JNOSUCHREQUEST", code=1)
    g.run("ps", "--limit", code=2)
    g.run("ps", "--no-such-option", code=2)
    g.run("nonsense", code=2)
    nowhere = os.path.join(g.folder, "nowhere")
    for words in (["ps"], ["route", "list"], ["tail", "--no-follow"], ["key", "list"]):
        assert "no gateway" in run(g, *words, "--data", nowhere, "--socket", nowhere + "/s", code=3).stderr


WRONG_USE = (["route", "switch"], ["route", "switch", "a", "b", "--frob"], ["route", "whatif", "fast"], ["provider", "add", "x"],
             ["route", "switch", "fast", "two/m2", "--for", "never"], ["route", "switch", "a", "b", "--key", "x", "--session", "y"],
             ["profile", "save"], ["profile", "apply", "a", "b"], ["provider", "drain"], ["provider", "drain", "one", "--for", "x"],
             ["config", "import", "litellm"], ["config", "import", "other", "f"], ["key", "show"], ["db", "prune"], ["run"])
REFUSED = ((["route", "show", "nosuch"], "not_found"), (["route", "switch", "fast", "nobody/none"], "not_found"),
           (["route", "undo", "--rev", "9999"], "not_found"), (["profile", "apply", "nosuch"], "not_found"),
           (["profile", "delete", "nosuch"], "not_found"), (["provider", "drain", "nosuch"], "not_found"),
           (["provider", "undrain", "one"], "not_drained"), (["provider", "test", "nosuch"], "not_found"), (["show", "nosuch"], "not_found"),
           (["config", "import", "litellm", "/no/such"], "io"), (["config", "check", "/no/such"], "io"))


def failures_say_so_in_one_form(g):
    """For people a line on stderr; with --json the same as {"error": {code, message}}, the codes small words."""
    nowhere = os.path.join(g.folder, "nowhere")
    away = ["--data", nowhere, "--socket", nowhere + "/s"]
    tries = [(words, 2, "usage") for words in WRONG_USE] + [(words, 1, code) for words, code in REFUSED]
    tries += [([*words, *away], 3, "no_gateway") for words in (["route", "list"], ["profile", "list"], ["provider", "list"], ["config", "diff"],
                                                               ["route", "undo"], ["provider", "detect"])]
    for words, status, code in tries:
        ask = functools.partial(run, g) if status == 3 else g.run
        done = ask(*words, "--json", code=status)
        error = json.loads(done.stdout)["error"]
        assert error["code"] == code or code == "usage" and words[-2:] == ["other", "f"], (words, error)
        assert error["message"] in done.stderr, (words, error, done.stderr)
        if status == 2:
            verb = " ".join(words[:1 if words[0] == "run" else 2])
            assert f"\npointsman {verb} " in done.stderr and "Global options" in done.stderr, (words, done.stderr)
        assert not ask(*words, code=status).stdout, f"{words}: something on stdout"


def what_runs_comes_first_then_the_newest(g):
    for _ in range(3):
        g.ask("one/m1").read()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = g.ask("one/m1", stream=True)
        running.read(20)
        last = pool.submit(lambda: g.ask("two/m2").read())
        last.result()
        begun = time.monotonic()
        rows = g.lines("ps")
        assert rows[0]["state"] == "streaming" and rows[1]["target"] == "two/m2", [(r["state"], r["target"]) for r in rows]
        times = [r["time"] for r in rows[1:]]
        assert times == sorted(times, reverse=True) and len(rows) == 5, times
        assert len(g.lines("ps", "--limit", "2")) == 2
        assert all(r["target"] == "two/m2" for r in g.lines("ps", "--filter", "model=m2")), "the filter lets others through"
        running.close()
        time.sleep(max(0.0, begun + 1.0 - time.monotonic()))
        stored = g.lines("tail", "--no-follow")
        assert [r["time"] for r in stored] == sorted(r["time"] for r in stored), "oldest first"
        assert {r["id"] for r in rows[1:]} <= {r["id"] for r in stored}, "not in the database within a second"
        newest = g.lines("tail", "--no-follow", "--limit", "2")
        assert len(newest) == 2
        assert g.lines("tail", "--no-follow", "--since", stored[-1]["time"])[-1]["id"] == stored[-1]["id"]


def what_is_followed_goes_on_with_the_next_gateway(g):
    tail = subprocess.Popen(g.words("tail", "--json", "--since", "1s"), stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.PIPE, env=g.env)
    limit = threading.Timer(40, tail.kill)
    limit.start()
    try:
        time.sleep(1)
        g.ask("one/m1").read()
        assert json.loads(tail.stdout.readline())["target"] == "one/m1"
        g.stop()
        time.sleep(0.5)
        g.start()
        time.sleep(3)  # by then it has found the new one
        g.ask("two/m2").read()
        assert json.loads(tail.stdout.readline())["target"] == "two/m2", "lost over the restart, or told twice"
    finally:
        limit.cancel()
        tail.kill()
        said = tail.communicate()[1]
    assert "waiting for the gateway" in said, said


def the_store_is_asked_or_opened_alone(g):
    g.ask().read()
    time.sleep(1.2)
    assert "running" not in g.run("db", "check", code=0).stderr
    copy = os.path.join(g.folder, "copy")
    g.run("db", "backup", copy, code=0)
    assert os.stat(copy).st_mode & 0o077 == 0 or os.path.isdir(copy), "the copy is open to others"
    first = os.stat(copy).st_size
    assert copy + " is there already: name a new file" in g.run("db", "backup", copy, code=1).stderr
    g.stop()
    assert copy + " is there already: name a new file" in g.run("db", "backup", copy, code=1).stderr
    assert os.stat(copy).st_size == first
    g.run("db", "check", code=0)
    g.run("doctor", code=None)
    with open(os.path.join(g.data, "lock"), "r+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else may have it
        done = g.run("db", "check", code=None)
        assert done.returncode not in (0, 2) and done.stderr.strip(), f"opened beside its owner: {done.returncode} {done.stderr}"
    g.start()


def amounts_are_plain_and_an_empty_one_explains_the_shell(g):
    for n, amount in enumerate(("20", "20usd", "20/week", "$20")):
        g.run("key", "add", f"k{n}", amount, code=0)
        assert f"k{n}" in g.run("key", "list").stdout
    for amount in ("", "0", "$", "0usd", "/week", "0/day"):
        for words in (["key", "add", "none", amount], ["key", "limit", "k0", amount]):
            done = g.run(*words, code=None)
            assert done.returncode in (1, 2) and "in a shell" in done.stderr and "write 20" in done.stderr, f"{words}: {done.stderr}"
    assert "none" not in str([k.get("name", k.get("key")) for k in g.lines("key", "list")]), "a key without a limit was made"
    done = g.run("run", "--budget", "", "--", "true", code=None)
    assert done.returncode in (1, 2), "an empty budget is no limit"
    for verb in ("", "key add", "key limit", "key grant", "run", "cost report"):
        text = g.run("help", *verb.split(), code=0).stdout
        assert not AMOUNT.search(text), f"help {verb} shows an amount that a shell would eat: {AMOUNT.search(text).group()}"


def a_configuration_is_found_in_its_order(g):
    def check(*words, **env):
        done = run(g, "config", "check", *words, env=dict({"POINTSMAN_CONFIG": ""}, **env))
        return done.stdout + done.stderr
    places = {}
    for name in ("named", "variable"):
        places[name] = os.path.join(g.folder, name + ".yaml")
    home = os.path.join(g.folder, ".config", "pointsman")
    os.makedirs(home)
    places["home"] = os.path.join(home, "pointsman.yaml")
    for name, path in places.items():
        with open(path, "w", encoding="ascii") as f:
            f.write(f"fault_of_{name}: 1\n")
    assert "fault_of_named" in check("--config", places["named"], POINTSMAN_CONFIG=places["variable"])
    assert "fault_of_variable" in check(POINTSMAN_CONFIG=places["variable"])
    env = {k: v for k, v in g.env.items() if k != "POINTSMAN_CONFIG"}
    found = subprocess.run([gateway.BINARY, "config", "check"], env=env, capture_output=True, text=True, timeout=20)
    assert "fault_of_home" in found.stdout + found.stderr, found.stdout + found.stderr


def every_fault_of_a_file_is_named_with_its_place(g):
    path = os.path.join(g.folder, "faulty.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write("lisen: 127.0.0.1:1\nworkers: many\nproviders:\n  a: { dialect: opnai, base_url: \"http://127.0.0.1:1/v1\" }\n"
                "routes:\n  r: { targets: [nobody/m] }\n  unreachable: { policy: weigted, targets: [a/m] }\n"
                "keys:\n  k: { secret: env:NOT_SET_ANYWHERE }\n")
    done = run(g, "config", "check", "--config", path)
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    for line, words in ((1, "listen"), (2, "workers"), (4, "openai"), (6, "nobody"), (7, "weighted"), (9, "NOT_SET_ANYWHERE")):
        assert re.search(rf"faulty\.yaml:{line}:\d+: .*{words}", text), f"line {line}, {words}: {text}"
    started = run(g, "serve", "--config", path, "--data", os.path.join(g.folder, "other"))
    assert started.returncode != 0 and "lisen" in started.stderr


def the_defaults_are_those_that_are_promised(g):
    found = {(o["section"], o["key"]): o["default"] for o in g.json("config", "options")["options"]}
    promised = {"": {"listen": "127.0.0.1:4141", "open_to": "owner", "allow_plaintext": "no", "workers": "auto", "reserve_output": "4096"},
                "limits": {"request_bytes": "64MiB", "header_bytes": "12KiB", "spool_bytes": "256MiB", "connections": "auto", "memory": "auto"},
                "capture": {"max_bytes": "1MiB", "keep": "7d", "keep_bytes": "2GiB"}, "providers.NAME": {"http": "1"},
                "providers.NAME.timeouts": {"connect": "5s", "headers": "10m", "first_token": "10m", "idle": "5m", "total": "60m"}}
    for section, keys in promised.items():
        for key, value in keys.items():
            assert found.get((section, key)) == value, f"{section}.{key}: {found.get((section, key))}, promised {value}"


def a_secret_of_ones_own_is_matched_before_any_rule_of_form(g):
    g.stop()
    mine = "sk-pm-made-by-hand-01"  # of our form, with no right checksum
    g.write("keys:\n  ci: { secret: %s }\n" % mine)
    g.start()
    assert g.ask(authorization="Bearer " + mine).status == 200
    try:
        g.ask(authorization="Bearer " + mine + "x")
        raise AssertionError("another secret was taken")
    except urllib.error.HTTPError as refused:
        assert refused.code == 401, refused
    path = os.path.join(g.folder, "short.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write("keys:\n  ci: { secret: fifteen-letters }\n")
    done = run(g, "config", "check", "--config", path, code=1)
    assert "16" in done.stdout + done.stderr


def systemd_is_told_when_it_is_ready_and_when_it_stops(g):
    g.stop()
    path = os.path.join(g.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(path)
        notices.settimeout(10)
        g.env["NOTIFY_SOCKET"] = path
        g.start()
        assert b"READY=1" in notices.recv(4096)
        g.signal(signal.SIGTERM)
        said = b""
        while b"STOPPING=1" not in said:
            said += notices.recv(4096)
        assert g.wait_end() == 0
    del g.env["NOTIFY_SOCKET"]
    g.start()


def the_first_line_says_where_it_listens(g):
    assert g.port and g.ask().status == 200
    other = subprocess.Popen([gateway.BINARY, "serve", "--config", g.config, "--data", os.path.join(g.folder, "second"),
                              "--listen", "127.0.0.1:0"], env=g.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = other.stdout.readline()
        port = int(re.fullmatch(r"listening http://127\.0\.0\.1:(\d+)\n", line).group(1))
        assert port not in (0, g.port)
        socket.create_connection(("127.0.0.1", port)).close()
    finally:
        other.terminate()
        assert other.wait(15) == 0
        other.stdout.close()


def the_status_says_what_one_asks_first(g):
    g.ask().read()
    time.sleep(0.3)
    s = g.json("status")
    for name in ("version", "pid", "listen", "providers"):
        assert name in s, f"no {name} in {sorted(s)}"
    text = g.run("status").stdout
    for words in (str(s["pid"]), f"127.0.0.1:{g.port}", "one"):
        assert words in text, f"{words}: {text}"


def quiet_and_without_colour(g):
    assert "\x1b" not in g.run("ps", "--no-color").stdout
    assert not g.run("route", "switch", "fast", "two/m2", "--quiet").stdout
    assert g.text() == "hello from two"
    g.run("route", "undo", "--quiet")


def an_undo_that_finds_nothing_of_ones_own_lists_what_there_is(g):
    done = g.run("route", "undo", code=1)
    assert done.stderr.strip(), "refused without a word"
    for n in range(6):
        g.run("route", "switch", "fast", ("one/m1", "two/m2")[n % 2])
    for _ in range(6):
        g.run("route", "undo")
    done = g.run("route", "undo", code=1)
    assert len(re.findall(r"\b\d+\b.*fast", done.stderr)) in range(1, 6), done.stderr
    g.run("route", "undo", "--rev", "999999", code=1)


def requests_wait_for_no_other_than_their_own_route(g):
    """A switch is in force when the command returns: the next request takes it, while others run on."""
    running = g.ask(stream=True)
    running.read(10)
    for n in range(10):
        to = ("two/m2", "one/m1")[n % 2]
        g.run("route", "switch", "fast", to)
        assert g.text() == f"hello from {to[:3]}", to
    threading.Thread(target=running.close).start()


CHECKS = [every_reading_verb_takes_json, verbs_that_are_not_built_are_unknown, exits_say_what_became_of_it, failures_say_so_in_one_form,
          what_runs_comes_first_then_the_newest, what_is_followed_goes_on_with_the_next_gateway,
          the_store_is_asked_or_opened_alone, amounts_are_plain_and_an_empty_one_explains_the_shell,
          a_configuration_is_found_in_its_order, every_fault_of_a_file_is_named_with_its_place, the_defaults_are_those_that_are_promised,
          a_secret_of_ones_own_is_matched_before_any_rule_of_form, systemd_is_told_when_it_is_ready_and_when_it_stops,
          the_first_line_says_where_it_listens, the_status_says_what_one_asks_first, quiet_and_without_colour,
          an_undo_that_finds_nothing_of_ones_own_lists_what_there_is, requests_wait_for_no_other_than_their_own_route]


def alone(check):
    g = House()
    try:
        check(g)
    finally:
        g.close()


def main():
    parts = sys.argv[1:]
    if not gateway.present():
        print("1..1\nnot ok 1 - build/pointsman serve is not there")
        return 1
    return tap.run([tap.test(alone, check, name=tap.named(check)) for check in CHECKS
                    if not parts or any(part in check.__name__ for part in parts)])


if __name__ == "__main__":
    sys.exit(main())
