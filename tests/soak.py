#!/usr/bin/env python3
"""The long checks, and a table of what they measured for the README.

    make soak                       python3 tests/soak.py --build build [--minutes 2] [NAME ...]

Names: streams churn kill slow bodies pages stopped attached memory files disk clock timing valgrind agents.
Each starts its own peers on loopback, is bounded, and says `held` or **missed** beside what it promises.
Figures come from a machine that may be busy: the table says how loaded it was. Takes about an hour with
the defaults, half of it for ten million rows; up to two on a machine that does other work meanwhile."""
import argparse
import json
import os
import pty
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "bench"))

import rig as r  # noqa: E402

ROWS = []


def row(name, what, measured, wanted="", good=None):
    ROWS.append((name, what, measured, wanted, "" if good is None else "held" if good else "**missed**"))
    print(f"  {name}: {what}: {measured}", file=sys.stderr, flush=True)


def slope_kib(samples):
    """KiB a minute, by least squares, of (seconds, KiB)."""
    n = len(samples)
    if n < 3:
        return 0.0
    mean_t = sum(t for t, _ in samples) / n
    mean_v = sum(v for _, v in samples) / n
    over = sum((t - mean_t) * (v - mean_v) for t, v in samples)
    return 60 * over / (sum((t - mean_t) ** 2 for t, _ in samples) or 1)


def watch(peer, seconds, every=2.0, field="VmRSS"):
    samples, began = [], time.monotonic()
    while time.monotonic() - began < seconds:
        samples.append((time.monotonic() - began, peer.memory_kib(field)))
        time.sleep(every)
    return samples


def stall_rows(name, gateway):
    """On a busy machine a turn is also long when the process waits for a core."""
    longest, slow = r.metric(gateway, "longest_turn_us") / 1000, r.metric(gateway, "slow_turns_total")
    row(name, "longest stall of a worker's loop", f"{longest:.0f} ms, {slow} over 50", "≤ 50 ms", longest <= 50)


def streams(rig, args):
    """8,000 at once for minutes, one event in 2 s each."""
    count = 8000 if r.FILES >= 16300 else max(100, (r.FILES - 300) // 2)
    mock = rig.mock(None)
    gateway = rig.gateway("streams", mock.port, "capture: off\nworkers: 2\n", core=None)
    before, files = gateway.memory_kib(), gateway.files()
    seconds = int(args.minutes * 60)
    client = subprocess.Popen(
        rig.load_command("streams", gateway.port, r.chat("stream-100000x2000ms", 200, True), count, seconds + 5,
                         headers=gateway.headers), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    time.sleep(15)
    samples = watch(gateway, seconds - 15)
    got = json.loads(client.communicate()[0])
    bad = got["disordered"] + got["ended_early"] + got["streams"] - got["still_open"]
    each = (samples[-1][1] - before) / count
    growth = samples[-1][1] / samples[0][1] - 1
    row("streams", f"{count:,} for {args.minutes:g} min: lost, reordered, ended", f"{bad} of {got['events']:,} events",
        "0", bad == 0)
    row("streams", "memory a stream", f"{each:.1f} KiB", "≤ 30 KiB", each <= 30)
    row("streams", "growth after the first seconds", f"{growth:+.2%}", "< 2 %", growth < 0.02)
    row("streams", "provider to client", f"p50 {got['p50_us'] / 1000:.1f} ms, p99 {got['p99_us'] / 1000:.0f} ms",
        "p99 < 100 ms", got["p99_us"] < 100000)
    stall_rows("streams", gateway)
    time.sleep(3)
    row("streams", "descriptors, before and after", f"{files} → {gateway.files()}", "the same (idle upstream apart)",
        gateway.files() <= files + 600)
    gateway.end()


class Churn:
    """Clients of short streams of which a share is left in the middle, on a thread each."""

    def __init__(self, gateway, threads, share):
        self.gateway, self.share, self.over = gateway, share, False
        self.done = self.left = self.bad = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(threads)]
        for t in self.threads:
            t.start()

    def run(self, seed):
        dice = random.Random(seed)
        ask = r.post(r.chat("stream-10x5ms", 1000, True), self.gateway.headers)
        while not self.over:
            leave = dice.random() < self.share
            got = b""
            try:
                with socket.create_connection(("127.0.0.1", self.gateway.port), 5) as s:
                    s.settimeout(10)
                    s.sendall(ask)
                    while not (leave and got.count(b"data:") >= 3):
                        piece = s.recv(65536)
                        if not piece:
                            break
                        got += piece
            except OSError:
                pass
            with self.lock:
                self.left += leave
                self.done += not leave and b"[DONE]" in got
                self.bad += not leave and b"[DONE]" not in got

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()


def churn(rig, args):
    """Short streams as fast as they go, 20 % left in the middle."""
    mock = rig.mock(None)
    gateway = rig.gateway("churn", mock.port, "capture: off\nworkers: 2\n", core=None)
    seconds = args.minutes * 60
    warm = min(60, seconds / 2)  # caches fill, and the mapped spool comes and goes: only what is ours counts
    clients = Churn(gateway, 24, 0.2)
    try:
        time.sleep(warm)
        files = gateway.files()
        samples = watch(gateway, seconds - warm, field="RssAnon")
    finally:
        clients.end()
    slope = slope_kib(samples)
    total = clients.done + clients.left
    row("churn", f"{total:,} streams, {clients.left:,} left in the middle, {total / seconds:.0f}/s: not whole",
        f"{clients.bad}", "0", clients.bad == 0)
    row("churn", "anonymous memory", f"{samples[0][1] / 1024:.1f} → {samples[-1][1] / 1024:.1f} MiB, {slope:+.0f} KiB/min",
        "< 1 MiB/min", slope < 1024)
    time.sleep(2)
    row("churn", "descriptors under load and after", f"{files} → {gateway.files()}", "no more", gateway.files() <= files)
    live = json.loads(rig.cli(gateway, "status", "--json").stdout or b"{}")
    row("churn", "still in flight", f"{live.get('live', live.get('in_flight', 0))}")
    gateway.end()


def suite(rig, name, command, limit, apart=False, **env):
    """A suite that prints TAP; one row, or with `apart` one a case. What failed is named; one that takes longer
    than `limit` seconds is ended with all that it started, and the checks it had come to count."""
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, POINTSMAN_BUILD=rig.build, CMOCKA_MESSAGE_OUTPUT="TAP",
                                        POINTSMAN_BIN=rig.binary, **env), start_new_session=True)
    try:
        said, late = running.communicate(timeout=limit)[0], ""
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        said, late = running.communicate()[0], f", cut after {limit / 60:.0f} min"
    text = said.decode("utf-8", "replace")
    cases = re.findall(r"^(not ok|ok)(?: \d+)? - (.*)", text, re.M)
    skipped = [c for c in cases if re.search(r"# *SKIP", c[1])]
    bad = [c[1] for c in cases if c[0] != "ok"]
    if apart:
        for good, what in cases:
            row(name, what, "as it should be" if good == "ok" else "not so", "", good == "ok")
        if late:
            row(name, "the rest", late[2:], "all", False)
    elif skipped and len(skipped) == len(cases):
        row(name, "skipped: " + skipped[0][1].split("SKIP")[1].strip(), "–")
    else:
        noted = "; ".join(line[1:].strip() for line in re.findall(r"^# (?!ok\b).*", text, re.M) if not bad)
        row(name, (f"{len(cases)} checks" + (f": {noted}" if noted else ""))[:160],
            f"{len(cases) - len(bad)} held" + (": not " + "; ".join(bad)[:200] if bad else "") + late, "all",
            not bad and bool(cases) and running.returncode == 0)


def script(name):
    return [sys.executable, os.path.join(HERE, name)]


def kill(rig, args):
    suite(rig, "kill", script("http/check_kill.py"), 60 + args.rounds * 10, True, KILL_ROUNDS=str(args.rounds))


def memory(rig, args):
    """Every allocation of twelve scenarios fails, once and from there on."""
    suite(rig, "memory", script("http/check_memory.py"), 3600, MEMORY_STEPS="0")


def files(rig, args):
    """Every write, sync, truncate and lock of the database fails, once and from there on."""
    suite(rig, "files", [os.path.join(rig.build, "tests/store/test_fault")], 1800, FAULT_STEPS="0")


def disk(rig, args):
    suite(rig, "disk", script("http/check_disk.py"), 600)


def clock(rig, args):
    suite(rig, "clock", script("http/check_clock.py"), 300)


def timing(rig, args):
    suite(rig, "timing", [*script("http/check_threats.py"), "t04"], 300, TIMING_ROUNDS="20000")


def valgrind(rig, args):
    suite(rig, "valgrind", script("http/check_valgrind.py"), 300)


def bodies(rig, args):
    """The cap of bodies while they are written as fast as they come, and what that does to answers."""
    mock = rig.mock(None)
    cap = 64
    gateway = rig.gateway("bodies", mock.port, f"capture: {{ bodies: all, keep_bytes: {cap}MiB }}\nworkers: 2\n", False, None)
    most, times, began = 0, [], time.monotonic()
    noise = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60000)) for _ in range(20)]
    seconds, over = args.minutes * 60, threading.Event()

    def ask():
        dice = random.Random()
        while not over.is_set():
            at = time.monotonic()
            body = json.dumps({"model": "lab/b20000", "max_tokens": 9, "messages": [
                {"role": "user", "content": dice.choice(noise) + str(dice.random())}]})
            r.ask(gateway.port, r.post(body, gateway.headers))
            times.append((time.monotonic() - at) * 1000)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    while time.monotonic() - began < seconds:
        most = max(most, sum(os.path.getsize(os.path.join(gateway.data, f)) for f in os.listdir(gateway.data)
                             if f.startswith("bodies.db") and not f.endswith("-shm")))
        time.sleep(0.2)
    over.set()
    for t in threads:
        t.join()
    times.sort()
    row("bodies", f"{len(times):,} requests of 60 kB under a cap of {cap} MiB: file and its log at most", f"{most >> 20} MiB",
        "≤ the cap and 80 MiB of log", most < (cap + 80) << 20)
    row("bodies", "whole answers meanwhile", f"p50 {times[len(times) // 2]:.1f} ms, p99 {times[int(len(times) * 0.99) - 1]:.0f} ms")
    gateway.end()


def drip(port, ask, over):
    """A request whose head comes a byte a second."""
    sockets = []
    for _ in range(2000):
        s = socket.create_connection(("127.0.0.1", port), 5)
        s.setblocking(False)
        sockets.append(s)
    at, alive = 0, list(sockets)
    while alive and not over.is_set() and at < len(ask):
        for s in list(alive):
            try:
                s.send(ask[at:at + 1])
                if s.recv(1) == b"":
                    alive.remove(s)
            except BlockingIOError:
                pass
            except OSError:
                alive.remove(s)
        at += 1
        over.wait(1)
    for s in sockets:
        s.close()
    return len(alive)


def second_provider(rig, gateway):
    """The model `plain` from a provider of its own: what is measured is the gateway, not a provider that is busy."""
    other = rig.mock(None)
    with open(gateway.config, encoding="ascii") as f:
        text = f.read()
    with open(gateway.config, "w", encoding="ascii") as f:
        f.write(text.replace("routes:\n", f"  other: {{ dialect: openai, base_url: 'http://127.0.0.1:{other.port}/v1', models: [other] }}\n"
                             "routes:\n  plain: { targets: [other/other] }\n"))
    gateway.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    return other


def slow(rig, args):
    """2,000 heads that drip and 2,000 readers that do not read, beside 50 requests a second."""
    mock = rig.mock(None)
    gateway = rig.gateway("slow", mock.port, "capture: off\nworkers: 2\n", core=None)
    other = second_provider(rig, gateway)
    ask = r.post(r.chat("stream-1000x0ms-b4000", 200, True), gateway.headers)
    readers = []
    for _ in range(2000):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", gateway.port))
        s.sendall(ask)
        readers.append(s)
    over, left = threading.Event(), []
    dripping = threading.Thread(target=lambda: left.append(drip(gateway.port, ask, over)))
    dripping.start()
    time.sleep(2)
    asked = {}  # by a program of its own: threads of this one wait for each other
    for what, peer in (("direct", other), ("gateway", gateway)):
        asked[what] = subprocess.Popen(rig.load_command("steady", peer.port, r.chat("plain"), 20, 50,
                                                        headers=peer.headers), stdout=subprocess.PIPE)
    got = {what: json.loads(client.communicate()[0]) for what, client in asked.items()}
    before = gateway.memory_kib("RssAnon")
    for _ in range(20):  # all queues full?
        time.sleep(2)
        memory = gateway.memory_kib("RssAnon")
        if memory - before < 1024:
            break
        before = memory
    over.set()
    dripping.join()
    for s in readers:
        s.close()
    mine, direct = ({k: v / 1000 for k, v in got[what].items()} for what in ("gateway", "direct"))
    row("slow", f"{got['gateway']['count']} requests beside 2,000 drips and 2,000 that do not read",
        f"p50 {mine['p50_us']:.1f} ms, p99 {mine['p99_us']:.0f} ms (past the gateway, on the same cores: "
        f"{direct['p50_us']:.1f} and {direct['p99_us']:.0f})", "p99 < 50 ms", mine["p99_us"] < 50)
    row("slow", "requests that failed", f"{got['gateway']['bad']}", "0", got["gateway"]["bad"] == 0)
    row("slow", "drips still open after 20 s", f"{left[0]}", "0 (10 s a head)", left[0] == 0)
    stall_rows("slow", gateway)
    row("slow", "anonymous memory when all queues are full", f"{memory / 1024:.0f} MiB", "≤ 400 KiB a reader", memory < 2000 * 400)
    gateway.end()


def pages(rig, args):
    """A console's questions on a store of many rows and bodies."""
    folder = args.folder or os.path.join(rig.folder, "rows")
    done = subprocess.run([os.path.join(rig.build, "tests/bench/fill"), str(args.rows), folder, "250", str(args.gib)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=3600, check=False)
    for what, first, again in re.findall(r"^(.*?) {2,}([\d.]+) ms first, +([\d.]+) ms again", done.stdout.decode(), re.M):
        row("pages", f"{args.rows:,} rows, {args.gib} GiB of bodies: {what.strip()}", f"{float(first):.1f} ms, again {float(again):.1f} ms",
            "≤ 50 ms", float(again) <= 50)


def attach(rig, gateway):
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(rig.binary, [rig.binary, "--data", gateway.data, "attach"], rig.env)
    return pid, fd


def drain(consoles, over):
    while not over.is_set():
        for _, fd in consoles:
            os.set_blocking(fd, False)
            try:
                os.read(fd, 65536)
            except OSError:
                pass
        over.wait(0.02)


def leave(consoles):
    for pid, fd in consoles:
        os.kill(pid, signal.SIGKILL)
        os.close(fd)
        os.waitpid(pid, 0)


def compare(rig, gateway, begin, end, rounds=3, seconds=3):
    """Rates and p99 without and with something beside it, in turns."""
    plain, beside = [], []
    for _ in range(rounds):
        plain.append(rig.load("rate", gateway.port, r.chat("plain"), 8, seconds, headers=gateway.headers))
        thing = begin()
        time.sleep(1)
        beside.append(rig.load("rate", gateway.port, r.chat("plain"), 8, seconds, headers=gateway.headers))
        end(thing)
    mean = lambda rows, field: sum(x[field] for x in rows) / len(rows)
    return {f: (mean(plain, f), mean(beside, f)) for f in ("per_s", "p99_us")}


def stopped(rig, args):
    """A console that is stopped in the middle of its work."""
    mock = rig.mock()
    gateway = rig.gateway("stopped", mock.port, "capture: off\n")

    def begin():
        console = attach(rig, gateway)
        time.sleep(0.5)
        os.kill(console[0], signal.SIGSTOP)
        return [console]
    before = gateway.memory_kib()
    got = compare(rig, gateway, begin, leave)
    row("stopped", "p99 without and with a console under SIGSTOP",
        f"{got['p99_us'][0] / 1000:.1f} ms, {got['p99_us'][1] / 1000:.1f} ms", "the same (± 25 %)",
        got["p99_us"][1] < 1.25 * got["p99_us"][0])
    row("stopped", "memory of the gateway", f"{before / 1024:.1f} → {gateway.memory_kib() / 1024:.1f} MiB")
    gateway.end()


def thread_cpu_s(gateway):
    """Processor time of (the workers, the threads that answer consoles)."""
    workers = consoles = 0
    for task in os.listdir(f"/proc/{gateway.pid}/task"):
        with open(f"/proc/{gateway.pid}/task/{task}/stat", encoding="ascii") as f:
            name, _, fields = f.read().partition("(")[2].rpartition(")")
        spent = sum(int(n) for n in fields.split()[11:13]) / r.TICK
        if name.startswith(("admin", "query")):
            consoles += spent
        elif not name.startswith("writer"):
            workers += spent
    return workers, consoles


def cpu_a_request(rig, gateway, seconds=3):
    """(seconds of the workers for one request, the share of the gateway's CPU that answers consoles)"""
    before = thread_cpu_s(gateway)
    count = rig.load("rate", gateway.port, r.chat("plain"), 8, seconds, headers=gateway.headers)["requests"]
    workers, consoles = (b - a for a, b in zip(before, thread_cpu_s(gateway)))
    return workers / count, consoles / (workers + consoles)


def attached(rig, args):
    """Twenty consoles on one gateway. Rates would not tell: the consoles take the client's core."""
    mock = rig.mock()
    gateway = rig.gateway("attached", mock.port, "capture: off\n")

    def begin():
        consoles = [attach(rig, gateway) for _ in range(20)]
        for pid, _ in consoles:
            os.sched_setaffinity(pid, {r.PEER_CORE})
        over = threading.Event()
        reader = threading.Thread(target=drain, args=(consoles, over))
        reader.start()
        return consoles, over, reader

    def end(thing):
        thing[1].set()
        thing[2].join()
        leave(thing[0])
    thing = begin()
    time.sleep(2)
    before = gateway.cpu_s()
    time.sleep(5)
    idle = (gateway.cpu_s() - before) / 5
    row("attached", "CPU of an idle gateway with 20 consoles", f"{idle:.1%} of a core", "≤ 2 %", idle <= 0.02)
    end(thing)
    alone, beside = [], []
    for _ in range(4):
        alone.append(cpu_a_request(rig, gateway))
        thing = begin()
        time.sleep(1)
        beside.append(cpu_a_request(rig, gateway))
        end(thing)
    mean = lambda rows, n: sum(x[n] for x in rows) / len(rows)  # noqa: E731
    share = mean(beside, 1) - mean(alone, 1)
    row("attached", "CPU of the gateway at full load that goes to 20 consoles", f"{share:.1%}", "≤ 2 %", share <= 0.02)
    row("attached", "CPU of the workers a request, without and with them",
        f"{mean(alone, 0) * 1e6:.0f}, {mean(beside, 0) * 1e6:.0f} µs")
    gateway.end()


def agents(_rig, args):
    """Coding agents with providers of each dialect, and the switch thrown in mid-task."""
    done = subprocess.run([sys.executable, os.path.join(HERE, "clients", "agents.py")], timeout=1800,
                          env=dict(os.environ, POINTSMAN_BUILD=os.path.abspath(args.build)),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    skipped = [line.split("SKIP", 1)[1] for line in lines if "# SKIP" in line]
    failed = [line[9:] for line in lines if line.startswith("not ok")]
    passed = sum(line.startswith("ok") for line in lines) - len(skipped)
    row("agents", "tasks of coding agents that ended well", f"{passed} of {passed + len(failed)}"
        + "".join(f"; skipped: {s}" for s in skipped), "all", not failed and done.returncode == 0 if passed else None)
    for name in failed:
        row("agents", name, "failed", "", False)


CHECKS = {"streams": streams, "churn": churn, "kill": kill, "slow": slow, "bodies": bodies, "pages": pages,
          "stopped": stopped, "attached": attached, "memory": memory, "files": files, "disk": disk, "clock": clock,
          "timing": timing, "valgrind": valgrind, "agents": agents}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--minutes", type=float, default=3, help="of streams and of churn (3)")
    parser.add_argument("--rounds", type=int, default=200, help="of kill -9 (200)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the store (10 million; about 2 GB of disk)")
    parser.add_argument("--gib", type=int, default=10, help="of bodies beside them (10)")
    parser.add_argument("--folder", help="keep the store of rows here")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *CHECKS])
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (r.FILES, r.FILES))
    where, began = r.machine(), time.monotonic()
    for name, check in CHECKS.items():
        if args.names and name not in args.names:
            continue
        with r.Rig(args.build) as rig:
            try:
                check(rig, args)
            except (OSError, SystemExit, ValueError, subprocess.SubprocessError) as error:
                row(name, "could not be run to its end", f"{error}", "", False)
    print(f"`make soak`: {where}, {(time.monotonic() - began) / 60:.0f} min.\n")
    print("| check | what | measured | promised | |\n|---|---|---|---|---|")
    for cells in ROWS:
        print("| " + " | ".join(cells) + " |")
    return 1 if any(cells[-1] == "**missed**" for cells in ROWS) else 0


if __name__ == "__main__":
    sys.exit(main())
