#!/usr/bin/env python3
"""Provider keys sealed in the store: from standard input to the provider's wire, with and without a gateway
running; a master key that is lost, wrong or open to others; rows that were moved; a rotation that kill -9
cuts; and the key nowhere else: no file, log, listing, export or backup. Prints TAP."""
import glob
import json
import os
import pty
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import termios
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import gateway  # noqa: E402
import tap  # noqa: E402
from check_threats import alone, answering, ask, ends_well, started, wish  # noqa: E402

KEY = "sk-sealed-%s-Wq7bTz0RkM4e"
ROUNDS = int(os.environ.get("SEAL_ROUNDS", "12"))


def one(p, key="sealed:lab", more=""):
    return (f"workers: 2\nproviders:\n  lab: {{ dialect: openai, base_url: '{p.url}', models: [m], "
            f"api_key: '{key}' }}\n{more}")


def master_of(g):
    return os.path.join(g.folder, ".config", "pointsman", "master.key")


def run(g, *words, stdin=b"", code=0):
    status, out, err = g.command("--config", g.config, *words, stdin=stdin)
    wish(status == code, f"{' '.join(words)}: ended with {status}, not {code}: {out}{err}")
    return out + err


def seal(g, name, value):
    return run(g, "provider", "seal", name, stdin=value.encode() + b"\n")


def sealed(g):
    return {row["name"]: row for row in map(json.loads, run(g, "provider", "sealed", "--json").splitlines())}


def tells(text, *parts):
    for part in parts:
        wish(part in text, f"{part!r} is not said: {text[-600:]}")


def chat(g, model="lab/m"):
    return ask(g.port, {"model": model, "messages": [{"role": "user", "content": "hi"}]})


def key_of(p, number=-1):
    return p.requests[number].header("authorization").removeprefix("Bearer ")


def seen(p):
    return {r.header("authorization").removeprefix("Bearer ") for r in p.requests}


def nowhere(g, *values):
    """No file of the gateway's, and nothing that it prints, holds one of them."""
    texts = {}
    for place in (g.data, os.path.join(g.folder, ".config"), g.folder):
        for path in glob.glob(place + "/**", recursive=True):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    texts[path] = f.read()
    if g.process:
        for words in (("config", "export"), ("config", "diff"), ("audit", "--json"), ("events", "--json"),
                      ("provider", "list", "--json"), ("provider", "sealed", "--json"), ("status", "--json"),
                      ("ps", "--json"), ("doctor",)):
            texts[" ".join(words)] = "".join(g.command(*words)[1:]).encode()
        for name in ("environ", "cmdline"):
            with open(f"/proc/{g.process.pid}/{name}", "rb") as f:
                texts["/proc/PID/" + name] = f.read()
    for where, text in texts.items():
        for value in values:
            wish(value.encode() not in text, f"the key stands in {where}")


def s01_a_key_sealed_before_the_start_reaches_the_provider(g):
    p, value = answering("lab"), KEY % "first"
    g.write_config(one(p))
    refused = subprocess.run([gateway.BINARY, "serve", "--config", g.config, "--data", g.data], env=g.env,
                             cwd=g.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    wish(refused.returncode == 1, "a gateway started with a key that was never sealed")
    tells(refused.stderr.decode(), "providers.lab.api_key", "pointsman provider seal lab")
    tells(seal(g, "lab", value), "sk-s…kM4e", master_of(g))
    wish(os.stat(master_of(g)).st_mode & 0o777 == 0o600, "the master key's file is open to others")
    g.start()
    wish(chat(g).status == 200 and key_of(p) == value, "the sealed key did not reach the provider")
    tells(run(g, "config", "export"), "api_key: sealed:lab")
    row = sealed(g)["lab"]
    wish(row["opens"] and row["used_by"] == ["lab"] and row["shown"] == "sk-s…kM4e", f"listed as {row}")
    nowhere(g, value)
    ends_well(g)
    nowhere(g, value)


def s02_a_key_is_sealed_replaced_and_forgotten_while_it_runs(g):
    p, first, second, third = answering("lab"), KEY % "first", KEY % "second", KEY % "third"
    g.env["OTHER"] = KEY % "other"
    started(g, one(p, "env:OTHER"))
    tells(seal(g, "spare.1", first), "sk-s…kM4e")
    tells(run(g, "provider", "add", "live", "--url", p.url, "--api-key", "sealed:spare.1"), "added")
    wish(chat(g, "live/m").status == 200 and key_of(p) == first, "a live provider's sealed key")
    seal(g, "spare.1", second)
    wish(chat(g, "live/m").status == 200 and key_of(p) == second, "the replaced key is not in force")
    tells(run(g, "provider", "forget", "spare.1", code=1), "live", "sealed:spare.1")
    seal(g, "unused", third)
    run(g, "provider", "forget", "unused")
    wish(set(sealed(g)) == {"spare.1"}, "what was forgotten is still listed")
    tells(run(g, "provider", "forget", "unused", code=1), "unused")
    for bad in ("sk with blanks 0123456", "short", "sk-pm-0123456789012345678901", ""):
        run(g, "provider", "seal", "bad", stdin=bad.encode(), code=1)
    run(g, "provider", "seal", "a/b", stdin=first.encode(), code=1)
    run(g, "provider", "seal", "x", first, code=2)  # a key on argv is refused, not taken
    audit = run(g, "audit")
    tells(audit, "sealed provider key spare.1", "forgot sealed provider key unused")
    nowhere(g, first, second, third)
    g.stop()
    g.start()
    wish(chat(g, "live/m").status == 200 and key_of(p) == second, "not there after a restart")
    run(g, "provider", "seal", "later", stdin=third.encode())
    revisions = [json.loads(line)["revision"] for line in run(g, "audit", "--json").splitlines()]
    wish(len(revisions) == len(set(revisions)) and len(revisions) == 6, f"the audit trail after a restart: {revisions}")
    ends_well(g)


def s03_several_sealed_keys_of_a_provider_take_turns(g):
    p, a, b = answering("lab"), KEY % "aaaa", KEY % "bbbb"
    g.write_config(f"providers:\n  lab: {{ dialect: openai, base_url: '{p.url}', models: [m], api_keys: "
                   "[{ key: 'sealed:a', weight: 1 }, { key: 'sealed:b', weight: 1 }] }\n")
    seal(g, "a", a)
    seal(g, "b", b)
    g.start()
    for _ in range(40):
        chat(g)
    wish(seen(p) == {a, b}, f"keys used: {len(seen(p))}")
    # one of them is lost: the other carries on alone
    g.stop()
    with sqlite3.connect(os.path.join(g.data, "pointsman.db")) as db:
        db.execute("update sealed_key set sealed = (select sealed from sealed_key where name = 'a') where name = 'b'")
    g.start()
    del p.requests[:]
    for _ in range(20):
        wish(chat(g).status == 200, "a request failed although one key opens")
    wish(seen(p) == {a}, "a key was used that does not open")
    tells(g.read_log(), "sealed:b does not open: damaged, or moved from another row")
    wish(not sealed(g)["b"]["opens"] and sealed(g)["a"]["opens"], "listed wrongly")
    nowhere(g, a, b)
    ends_well(g)


def s04_a_lost_master_key_costs_its_providers_alone_and_coming_back_needs_no_restart(g):
    p, other, value = answering("lab"), answering("other"), KEY % "lost"
    more = f"  other: {{ dialect: openai, base_url: '{other.url}', models: [n], api_key: '{other.key}' }}\n"
    g.write_config(one(p, more=more))
    seal(g, "lab", value)
    os.rename(master_of(g), master_of(g) + ".away")
    g.start()
    tells(g.read_log(), "provider lab lacks a key", "sealed:lab", master_of(g), "provider seal lab")
    wish(ask(g.port, {"model": "other/n", "messages": []}).status == 200, "another provider suffers")
    answer = chat(g)
    wish(answer.status == 503 and "does not open" in answer.text(), f"{answer.status} {answer.text()}")
    wish(not p.requests, "a request went out without its key")
    tells(run(g, "provider", "list"), "no key opens")
    tells(run(g, "provider", "test", "lab", code=1), "sealed:lab does not open")
    tells(run(g, "doctor", code=1), "sealed:lab does not open")
    os.rename(master_of(g) + ".away", master_of(g))
    run(g, "config", "apply")
    wish(chat(g).status == 200 and key_of(p) == value, "not back after a reload")
    # or it is gone for good: the key is sealed anew, under a new master key
    g.stop()
    os.unlink(master_of(g))
    g.start()
    wish(chat(g).status == 503, "it opens without its master key")
    seal(g, "lab", KEY % "anew")
    wish(chat(g).status == 200 and key_of(p) == KEY % "anew", "sealing anew does not help")
    nowhere(g, value, KEY % "anew")
    ends_well(g)


def s05_a_master_key_of_the_environment_opens_and_a_wrong_one_is_told_from_damage(g):
    p, value, right, wrong = answering("lab"), KEY % "env", "5a" * 32, "6b" * 32
    g.write_config(one(p))
    g.env["POINTSMAN_MASTER_KEY"] = right
    tells(seal(g, "lab", value), "$POINTSMAN_MASTER_KEY")
    wish(not os.path.exists(master_of(g)), "a file was made although the environment holds the master key")
    g.start()
    wish(chat(g).status == 200 and key_of(p) == value, "the sealed key did not reach the provider")
    nowhere(g, value, right)
    g.stop()
    g.env["POINTSMAN_MASTER_KEY"] = wrong
    g.start()
    tells(g.read_log(), "sealed with another master key")
    wish(chat(g).status == 503, "it opens with another master key")
    g.stop()
    g.env["POINTSMAN_MASTER_KEY"] = f"{wrong},{right}"  # the new one in front of the old: rotation
    g.start()
    wish(chat(g).status == 200 and not sealed(g)["lab"]["current"], "the second master key does not open")
    run(g, "provider", "reseal")
    wish(sealed(g)["lab"]["current"], "not sealed anew")
    g.stop()
    g.env["POINTSMAN_MASTER_KEY"] = wrong
    g.start()
    wish(chat(g).status == 200 and key_of(p) == value, "the new master key alone does not open")
    g.stop()
    g.env["POINTSMAN_MASTER_KEY"] = "not hex"
    g.start()
    tells(g.read_log(), "$POINTSMAN_MASTER_KEY", "64 hex digits")
    ends_well(g)


def s06_a_master_key_open_to_others_or_of_somebody_else_is_refused(g):
    p = answering("lab")
    g.write_config(one(p))
    seal(g, "lab", KEY % "perm")
    for mode in (0o640, 0o604, 0o622):
        os.chmod(master_of(g), mode)
        g.start()
        tells(g.read_log(), f"open to others ({mode:03o}): chmod 600")
        wish(chat(g).status == 503, f"a master key of mode {mode:o} is used")
        tells(run(g, "provider", "seal", "new", stdin=(KEY % "new").encode(), code=1), "chmod 600")
        tells(run(g, "doctor", code=1), "open to others")
        g.stop()
    os.chmod(master_of(g), 0o600)
    if os.getuid() == 0:
        os.chown(master_of(g), 65534, 65534)
        g.start()
        tells(g.read_log(), "belongs to uid 65534")
        g.stop()
        os.chown(master_of(g), 0, 0)
    os.rename(master_of(g), os.path.join(g.folder, "elsewhere"))
    g.write_config(f"master_key: {g.folder}/elsewhere\n" + one(p))
    g.start()
    wish(chat(g).status == 200 and key_of(p) == KEY % "perm", "master_key: PATH is not read")
    ends_well(g)


def s07_a_rotation_cut_by_kill_9_at_any_moment_loses_nothing(g):
    p, values = answering("lab"), {}
    g.write_config(one(p))
    for i in range(30):
        values[f"k{i}"] = KEY % f"many{i}"
        seal(g, f"k{i}", values[f"k{i}"]) if i < 3 else None
    seal(g, "lab", KEY % "lab")
    g.start()
    for i in range(3, 30):
        seal(g, f"k{i}", values[f"k{i}"])
    draw = random.Random(7)
    for turn in range(ROUNDS):
        ready = threading.Event()

        def rotate():
            ready.set()
            g.command("provider", "reseal")

        thread = threading.Thread(target=rotate)
        thread.start()
        ready.wait()
        time.sleep(draw.uniform(0, 0.03))
        g.kill()
        thread.join()
        g.start()
        rows = sealed(g)
        lost = [n for n, row in rows.items() if not row["opens"]]
        wish(len(rows) == 31 and not lost, f"round {turn}: {len(rows)} keys, and these don't open: {lost}")
    run(g, "provider", "reseal")
    wish(all(row["current"] for row in sealed(g).values()), "a whole rotation leaves keys behind")
    wish(chat(g).status == 200 and key_of(p) == KEY % "lab", "another key after the rotations")
    wish(not os.path.exists(master_of(g) + ".new"), "half a master key is left")
    with open(master_of(g), encoding="ascii") as f:
        lines = f.read().split()
    wish(2 <= len(lines) <= 32 and all(len(line) == 64 for line in lines), f"{len(lines)} master keys")
    nowhere(g, *values.values())
    ends_well(g)


def s08_a_provider_that_says_the_key_back_is_redacted(g):
    p, value = answering("lab"), KEY % "echo"
    p.blocks = [lambda _, link, r: link.answer(401, "application/json", json.dumps(
        {"error": {"message": "Incorrect API key provided: " + r.header("authorization")[7:]}}).encode())]
    g.write_config(one(p, more="capture: all\n"))
    seal(g, "lab", value)
    g.start()
    answer = chat(g)
    wish(value not in answer.text(), f"the client reads the provider's key: {answer.text()}")
    record = g.record()
    shown = run(g, "show", record["id"], "--json")
    wish(value not in shown, "the kept body holds the key")
    nowhere(g, value)
    ends_well(g)


def s09_without_a_configuration_a_well_known_name_is_all_it_takes(g):
    p, value = answering("openai"), KEY % "known"
    g.env["OPENAI_BASE_URL"] = p.url
    command = [gateway.BINARY, "serve", "--data", g.data, "--listen", "127.0.0.1:0"]
    with open(g.log, "ab") as log:
        g.process = subprocess.Popen(command, cwd=g.folder, env=g.env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=log)
    g.port = int(g.process.stdout.readline().rsplit(b":", 1)[1])
    wish(chat(g, "gpt-4.1").status == 503, "a provider from nowhere")
    done = g.command("provider", "seal", "openai", stdin=value.encode())
    tells(done[1], "used by openai")
    wish(chat(g, "openai/gpt-4.1").status == 200 and key_of(p) == value, "the provider is not there")
    g.command("provider", "forget", "openai")
    wish(chat(g, "openai/gpt-4.1").status != 200, "the provider stayed without its key")
    ends_well(g)


def s10_a_typed_key_is_not_echoed_and_ctrl_c_leaves_the_terminal_as_it_was(g):
    started(g, one(answering("lab"), "sk-plain-0123456789abcdef"))
    value = KEY % "typed"
    for typed, code, name in ((value[:-1] + "xx\x7f\x7f" + value[-1] + "\r", 0, "typed"), ("sk-half\x03", 1, "half")):
        main, side = pty.openpty()
        before = termios.tcgetattr(side)[3]
        child = subprocess.Popen([gateway.BINARY, "--data", g.data, "provider", "seal", name], env=g.env,
                                 stdin=side, stdout=side, stderr=side)
        read = b""
        while b"not shown" not in read:
            wish(select.select([main], [], [], 10)[0], "no prompt")
            read += os.read(main, 4096)
        time.sleep(0.05)
        os.write(main, typed.encode())
        child.wait(10)
        wish(termios.tcgetattr(side)[3] == before, "the terminal is left without its echo")
        while select.select([main], [], [], 0.2)[0]:
            read += os.read(main, 4096)
        os.close(side)
        os.close(main)
        wish(child.returncode == code, f"ended with {child.returncode}: {read!r}")
        wish(b"sk-half" not in read and value.encode() not in read, f"the key is echoed: {read!r}")
    wish(set(sealed(g)) == {"typed"} and sealed(g)["typed"]["shown"] == "sk-s…kM4e", f"{sealed(g)}")
    ends_well(g)


def s11_a_backup_holds_the_sealed_form_and_says_what_it_does_not_hold(g):
    p, value = answering("lab"), KEY % "backup"
    g.write_config(one(p))
    seal(g, "lab", value)
    for number in (1, 2):
        copy = os.path.join(g.folder, f"copy{number}.db")
        tells(run(g, "db", "backup", copy), "sealed provider key", "master key", master_of(g))
        with open(master_of(g), encoding="ascii") as f, open(copy, "rb") as c:
            text = c.read()
            wish(value.encode() not in text and f.read().strip().encode() not in text, "the copy holds a key")
        with sqlite3.connect(copy) as db:
            wish(db.execute("select count(*) from sealed_key").fetchone() == (1,), "the copy lacks the sealed key")
        if number == 1:
            g.start()
    g.stop()
    # the copy in another folder, with the same master key: it opens
    shutil.rmtree(g.data)
    os.makedirs(g.data, mode=0o700)
    os.rename(os.path.join(g.folder, "copy2.db"), os.path.join(g.data, "pointsman.db"))
    g.start()
    wish(chat(g).status == 200 and key_of(p) == value, "the restored store does not open its key")
    ends_well(g)


def s13_the_last_copy_of_a_master_key_is_not_replaced(g):
    """Its file goes while a gateway runs: the running one alone can open what is sealed."""
    p, value = answering("lab"), KEY % "last"
    g.write_config(one(p))
    seal(g, "lab", value)
    g.start()
    os.rename(master_of(g), master_of(g) + ".away")
    tells(run(g, "provider", "reseal", code=1), master_of(g), "bring it back first")
    tells(run(g, "provider", "seal", "more", stdin=(KEY % "more").encode() + b"\n", code=1), "bring it back first")
    wish(not os.path.exists(master_of(g)), "a new master key lies where the lost one was")
    run(g, "config", "apply")
    wish(chat(g).status == 200 and key_of(p) == value, "what was sealed opens no more")
    os.symlink(master_of(g) + ".away", master_of(g))  # kept elsewhere: the link stays one
    seal(g, "more", KEY % "more")
    tells(run(g, "provider", "reseal"), "sealed 2 keys anew")
    wish(os.path.islink(master_of(g)), "a file lies where the link to the master key was")
    g.stop()
    g.start()
    wish(chat(g).status == 200 and key_of(p) == value, "what was sealed does not open after a restart")
    wish(all(row["opens"] for row in sealed(g).values()), "a sealed key does not open")
    nowhere(g, value, KEY % "more")
    ends_well(g)


def s12_a_provider_added_live_can_t_hold_a_key_itself(g):
    started(g, one(answering("lab"), "sk-plain-0123456789abcdef"))
    value = KEY % "literal"
    for form in (value, "sealed", "env"):
        tells(run(g, "provider", "add", "x", "--url", "http://127.0.0.1:9/v1", "--api-key", form, code=1),
              "provider seal x")
    nowhere(g, value)
    ends_well(g)


def main():
    if not gateway.present():
        print("not ok 1 - build/pointsman serve is not there")
        return 1
    return tap.run(tap.numbered(globals(), "s", alone))


if __name__ == "__main__":
    sys.exit(main())
