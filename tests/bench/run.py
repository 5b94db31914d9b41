#!/usr/bin/env python3
"""The figures of the gateway beside nginx's plain reverse proxy, in one run on the same cores.

    make bench                                  python3 tests/bench/run.py --build build [PART ...]

Proxy on one core, provider and client on the other; what is compared runs in turns, round after round,
so that a busy machine disturbs both alike. Prints a Markdown table; `missed` marks a figure that does
not hold on this run. Never part of the tests: figures are not facts about correctness."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import console  # noqa: E402
import rig as r  # noqa: E402
import switch  # noqa: E402

ROUNDS = 3
TURNS = 12  # of one second each, where what is compared differs by a few per cent
ROWS = []


def row(what, measured, target="", good=None):
    """good: True, False, or None where nothing was promised."""
    ROWS.append((what, measured, target, "" if good is None else "yes" if good else "**missed**"))
    print(f"  {what}: {measured}", file=sys.stderr, flush=True)


def us(n):
    return f"{n:,.0f} µs"


# ---- one request after another, and as many as go through ----

def costs(rig, peers, conns=16):
    """CPU µs a request and requests/s of each peer and turn."""
    cpu = {name: [] for name in peers}
    rate = {name: [] for name in peers}
    body = r.chat("plain")
    for turn in range(TURNS):
        for name in sorted(peers, reverse=turn % 2 == 1):  # nobody is always the first after a pause
            peer = peers[name]
            before = peer.cpu_s()
            got = rig.load("rate", peer.port, body, conns, 1, headers=peer.headers)
            cpu[name].append((peer.cpu_s() - before) * 1e6 / got["requests"])
            rate[name].append(got["per_s"])
    return cpu, rate


def ratio(ours, theirs):
    """Of what was measured side by side: the median of the turns' own ratios, and the middle half of them."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(ours, theirs)], n=4)
    return middle, low, high


def part_cpu(rig, s):
    peers = {"nginx": s["nginx"], "off": s["governed"], "errors": s["errors"], "all": s["all"],
             "open": s["open"]}
    for peer in peers.values():
        rig.load("rate", peer.port, r.chat("plain"), 16, 1, headers=peer.headers)
    cpu, rate = costs(rig, peers)
    middle = statistics.median
    row("CPU a request, nginx", us(middle(cpu["nginx"])))
    for name, what, most in (("off", "key, limits, budget, row; no bodies", 2.8),
                             ("errors", "the same, default capture with keys (errors)", None),
                             ("all", "the same, all bodies kept", None)):
        times, low, high = ratio(cpu[name], cpu["nginx"])
        row(f"CPU a request, {what}", f"{us(middle(cpu[name]))}, {times:.2f} × nginx (half of {TURNS} turns: "
            f"{low:.2f} to {high:.2f})", f"≤ {most} × (aim 2.2)" if most else "", times <= most if most else None)
    kept, low, high = ratio(rate["off"], rate["open"])
    spent = 1 - 1 / ratio(cpu["off"], cpu["open"])[0]
    row("Throughput lost to keys, limits and budget (rows are always written)",
        f"{1 - kept:.1%} (half of the turns: {1 - high:.1%} to {1 - low:.1%}; by CPU a request {spent:.1%}; "
        f"{middle(rate['off']):,.0f}/s of {middle(rate['open']):,.0f}/s, nginx {middle(rate['nginx']):,.0f}/s)",
        "≤ 15 %", kept >= 0.85)


def part_latency(rig, s):
    """All three may run on all cores, as they would at one client."""
    free = rig.gateway("free", s["mock"].port, "capture: off\n", core=None)
    nginx = rig.nginx(s["mock"].port, core=None)
    ways = {"direct": s["mock"], "gateway": free, "nginx": nginx}
    for mode, body, what in (("one", r.chat("plain"), "one client, whole answer"),
                             ("first", r.chat("stream-2x0ms", stream=True), "one client, first token")):
        got = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, peer in ways.items():
                port = peer.port if mode == "one" else peer.stream_port
                got[name].append(rig.load(mode, port, body, 1000, headers=peer.headers, core=None))
        for share, most in (("p50", 100), ("p99", 200)):
            best = {n: statistics.median(g[share + "_us"] for g in v) for n, v in got.items()}
            added = best["gateway"] - best["direct"]
            row(f"Added {share}, {what}", f"{us(added)} (direct {us(best['direct'])}, through nginx "
                f"+{us(best['nginx'] - best['direct'])})", f"≤ {most} µs", added <= most)
    free.end()
    nginx.end()


# ---- streams ----

def hold_streams(rig, peer, count, interval_ms, settle_s, window_s):
    """COUNT streams; CPU and memory over a window once all are open. The client's own report, and these."""
    body = r.chat(f"stream-100000x{interval_ms}ms", 200, True)
    before = peer.memory_kib()
    client = subprocess.Popen(
        rig.load_command("streams", peer.stream_port, body, count, settle_s + window_s + 1,
                         headers=peer.headers), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        preexec_fn=r.on_core(r.PEER_CORE))
    time.sleep(settle_s)
    cpu, began = peer.cpu_s(), time.monotonic()
    time.sleep(window_s)
    cpu, took = peer.cpu_s() - cpu, time.monotonic() - began
    kib = (peer.memory_kib() - before) / count
    report = json.loads(client.communicate()[0])
    events = count * took * 1000 / interval_ms
    return {"cpu_us": cpu * 1e6 / events, "kib": kib, **report}


def faults(got):
    return got["disordered"] + got["ended_early"] + (got["streams"] - got["still_open"])


def part_streams(rig, s):
    fresh = rig.gateway("streams", s["mock"].port, "capture: off\n")
    got = {"nginx": [], "gateway": []}
    for _ in range(2):
        for name, peer in (("nginx", s["nginx"]), ("gateway", fresh)):
            got[name].append(hold_streams(rig, peer, 1000, 100, 3, 4))
    cpu = {n: statistics.mean(g["cpu_us"] for g in v) for n, v in got.items()}
    times = cpu["gateway"] / cpu["nginx"]
    row("CPU an event, 1,000 streams of 10 events/s", f"{us(cpu['gateway'])}, {times:.2f} × nginx with "
        "buffering off", "≤ 1.5 ×", times <= 1.5)
    last = got["gateway"][-1]
    row("… chunk latency, provider to client", f"p50 {us(last['p50_us'])}, p99 {us(last['p99_us'])} (nginx "
        f"{us(got['nginx'][-1]['p50_us'])}, {us(got['nginx'][-1]['p99_us'])})")
    kib = got["gateway"][0]["kib"]
    row("Memory a stream, 1,000", f"{kib:.1f} KiB (nginx {got['nginx'][0]['kib']:.1f})", "≤ 30 KiB",
        kib <= 30)
    bad = sum(faults(g) for g in got["gateway"])
    row("… lost, reordered or ended", f"{bad}", "0", bad == 0)
    stall_row(fresh)
    fresh.end()


def stall_row(peer):
    """Waiting for a core counts too: on a busy machine this is more than the gateway's own."""
    longest = r.metric(peer, "longest_turn_us") / 1000
    row("… longest stall of the worker's loop", f"{longest:.1f} ms", "≤ 50 ms", longest <= 50)


def part_tls(rig, s):
    """What a stream holds when the provider is spoken to by TLS (nginx in front of the provider)."""
    if not shutil.which("openssl"):
        row("Memory a stream, 1,000, TLS to the provider", "not run: no openssl to make a certificate", "")
        return
    front = rig.nginx(s["mock"].port, core=r.PEER_CORE, tls=True)
    fresh = rig.gateway("tls", front.stream_port, "capture: off\n", tls=True)
    got = hold_streams(rig, fresh, 1000, 1000, 12, 3)
    row("Memory a stream, 1,000, TLS to the provider", f"{got['kib']:.1f} KiB")
    row("… lost, reordered or ended", f"{faults(got)}", "0", faults(got) == 0)
    fresh.end()
    front.end()


def part_many(rig, s):
    count = 8000
    limit = r.FILES
    if limit < 2 * count + 300:
        row(f"{count:,} streams", f"not run: a process may open {limit:,} files only", "")
        return
    fresh = rig.gateway("many", s["mock"].port, "capture: off\n")
    got = hold_streams(rig, fresh, count, 2000, 8, 10)
    row(f"Memory a stream, {count:,}", f"{got['kib']:.1f} KiB", "≤ 30 KiB", got["kib"] <= 30)
    row("… lost, reordered or ended", f"{faults(got)} of {got['streams']:,} ({got['events']:,} events, p50 "
        f"{us(got['p50_us'])}, p99 {us(got['p99_us'])})", "0", faults(got) == 0)
    stall_row(fresh)
    fresh.end()


# ---- start, size, idle, reuse, console ----

def part_process(rig, s):
    times = []
    for n in range(6):
        began = time.monotonic()
        peer = rig.gateway("start", s["mock"].port, "capture: off\n", core=None)  # as a person starts it
        answer = r.ask(peer.port, r.post(r.chat("plain"), peer.headers))
        times.append((time.monotonic() - began) * 1000)
        if b" 200 " not in answer[:20]:
            raise SystemExit(f"the first answer was no 200: {answer[:400]!r}")
        if n == 5:
            time.sleep(1)
            anonymous, resident = peer.memory_kib("RssAnon") / 1024, peer.memory_kib() / 1024
        peer.end()
    first, again = times[0], statistics.median(times[1:])
    row("Start to first answer", f"{again:.0f} ms (on a new data folder {first:.0f} ms)", "≤ 30 ms", again <= 30)
    row("Idle: anonymous memory", f"{anonymous:.1f} MB", "≤ 6 MB", anonymous <= 6)
    row("Idle: VmRSS", f"{resident:.1f} MB", "≤ 18 MB", resident <= 18)
    stripped = os.path.join(rig.folder, "stripped")
    subprocess.run(["strip", "-o", stripped, rig.binary], check=True)
    size = os.path.getsize(stripped) / 1e6
    row("Binary, stripped", f"{size:.2f} MB", "≤ 2 MB", size <= 2)


def reuse(rig, found):
    """8 requests, one in 5 s, each on a connection of its own, two workers."""
    mock = rig.mock()
    gateway = rig.gateway("reuse", mock.port, "capture: off\nworkers: 2\n")
    for n in range(8):
        r.ask(gateway.port, r.post(r.chat("plain"), gateway.headers))
        if n < 7:
            time.sleep(5)
    answer = r.ask(mock.port, b"GET /mock/stats HTTP/1.1\r\nHost: x\r\n\r\n")
    found["connections"] = json.loads(answer.split(b"\r\n\r\n", 1)[1])["connections"] - 1
    gateway.end()


def part_console(rig, s):
    """First paint, and what it takes idle and following 20 requests a second at 120x40."""
    peer = s["governed"]

    def one():
        r.ask(peer.port, r.post(r.chat("plain"), peer.headers))

    one()
    runs = []
    for _ in range(7):
        it = console.Console(rig.binary, peer.data, rig.env)
        runs.append(it.until([b"Req", b"today"]))
        it.end()
    frame, filled = (statistics.median(times) for times in zip(*runs))
    row("Console: first paint", f"{frame:.0f} ms (with figures and rows {filled:.0f} ms)", "≤ 100 ms",
        frame <= 100)
    it = console.Console(rig.binary, peer.data, rig.env)
    it.read(3)
    cpu, sent, wakes = it.watch(10)
    row("Console, idle", f"{sent:.0f} B/s, {wakes:.1f} wake-ups/s, {cpu:.2%} of a core", "0 B/s, ≤ 1/s",
        sent == 0 and wakes <= 1)
    took = it.answer_ms([b"t"], 100)
    load = console.Steady(one, 20)
    it.read(2)
    os.write(it.fd, b"G")
    cpu, sent, wakes = it.watch(10)
    row("Console, following 20 requests/s at 120x40",
        f"{cpu:.1%} of a core, {sent / 1000:.1f} KB/s, {wakes:.0f} wake-ups/s", "≤ 2 %, ≤ 8 KB/s",
        cpu <= 0.02 and sent <= 8000)
    took = sorted(took + it.answer_ms([b"t"], 100))
    load.stop()
    it.end()
    row("Console: key to frame, p50 and p99", f"{took[len(took) // 2]:.1f} and {took[-3]:.1f} ms", "≤ 30 ms",
        took[-3] <= 30)


def part_switch(rig, s):
    """From Enter in a console to where the next request goes: alone, and beside 2,000 streams of five events a
    second. More events than these 10,000 two cores that carry provider and clients too have no room for."""
    peer = switch.gateway(rig, s["mock"].port)
    for streams in (0, 2000):
        client = streams and subprocess.Popen(
            rig.load_command("streams", peer.stream_port, r.chat("stream-100000x200ms", 200, True), streams, 900),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=r.on_core(r.PEER_CORE))
        if client:
            time.sleep(8)
        busy, spent, began = r.Busy(), peer.cpu_s(), time.monotonic()
        late, took, hurried = switch.measure(rig, peer, 40, 200)
        spent = (peer.cpu_s() - spent) / (time.monotonic() - began)
        beside = f" beside {streams:,} streams of 5 events/s" if streams else ""
        how = "" if hurried else " (with everybody else's time slices: not root)"
        row(f"Switch{beside}: requests sent 1 ms after Enter that still took the old target", f"{late} of 40{how}", "0",
            late == 0)
        p99 = took[len(took) * 99 // 100]
        row("… from its arrival until the next request meets it, p50 and p99", f"{us(took[len(took) // 2])} and {us(p99)}"
            + how, "≤ 1 ms", p99 <= switch.LATEST_US)
        row("… how busy the cores were meanwhile", f"{busy.text()}; the gateway {spent:.0%} of one")
        if client:
            client.kill()
            client.wait()
    peer.end()


PARTS = {"cpu": part_cpu, "latency": part_latency, "streams": part_streams, "many": part_many, "tls": part_tls,
         "process": part_process, "console": part_console, "switch": part_switch}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS, "reuse"], default=[])
    args = parser.parse_args()
    if not shutil.which("nginx") and not os.access("/usr/sbin/nginx", os.X_OK):
        print("bench: nginx is not there to compare with: apt-get install nginx-light", file=sys.stderr)
        return 1
    parts = args.parts or [*PARTS, "reuse"]
    where, began = r.machine(), time.monotonic()
    with r.Rig(args.build) as rig:
        s = {"mock": rig.mock()}
        upstream = s["mock"].port
        s["nginx"] = rig.nginx(upstream)
        s["governed"] = rig.gateway("governed", upstream, "capture: off\n")
        s["errors"] = rig.gateway("errors", upstream)
        s["all"] = rig.gateway("all", upstream, "capture: all\n")
        s["open"] = rig.gateway("open", upstream, "capture: off\n", keys=False)
        found, aside = {}, None
        if "reuse" in parts:
            aside = threading.Thread(target=reuse, args=(rig, found))
            aside.start()
        for name in PARTS:
            if name in parts:
                PARTS[name](rig, s)
        if aside:
            aside.join()
            n = found.get("connections", 99)
            row("Upstream connections for 8 requests, one in 5 s, 2 workers", f"{n}", "≤ 2", n <= 2)
    version = subprocess.run([os.path.join(r.ROOT, args.build, "pointsman"), "version"], check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.decode().strip()
    print(f"`make bench`: {version.splitlines()[0] if version else 'pointsman'}, {where}, "
          f"{time.monotonic() - began:.0f} s; one worker, proxies on core {r.PROXY_CORE}, provider and client on "
          f"core {r.PEER_CORE}.\n")
    print("| figure | measured | promised | holds |\n|---|---|---|---|")
    for cells in ROWS:
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
