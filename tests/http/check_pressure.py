#!/usr/bin/env python3
"""Flow and leaving under some load: a client that does not read holds its provider back and costs no
memory; one that leaves is noticed at once in every way and state; many streams keep their order; a
drain cuts none of them. Prints TAP."""
import ctypes
import os
import random
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, post  # noqa: E402

MOCK = os.path.join(gateway.BUILD, "tests", "mock", "mock")
STREAMS = 500


def slack():
    """A sanitizer keeps freed memory: its figures say nothing."""
    with open(gateway.BINARY, "rb") as f:
        data = f.read()
    return 100 if b"__asan_init" in data or b"__tsan_init" in data else 1


def wish(right, text):
    if not right:
        raise Fault(text)


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


class Mock:
    def __init__(self):
        self.process = subprocess.Popen([MOCK], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().split()[1]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def start(config):
    gate = gateway.Gateway()
    gate.write_config(config)
    gate.start()
    return gate


def config_for(url, extra=""):
    return (f"workers: 2\ncapture: {{ bodies: off }}\nproviders:\n  m: {{ dialect: openai, base_url: \"{url}/v1\", "
            f"api_key: \"sk-real-m-000000000000\"{extra} }}\nroutes:\n  \"stream-*\": {{ targets: [\"m/$model\"] }}\n")


def ask(model):
    return post("/v1/chat/completions", '{"model":"%s","stream":true,"messages":[]}' % model)


def numbers_of(answer):
    return [int(n) for n in re.findall(rb'"content":"w(\d+) ', answer.body)]


def curl_cannot_pause():
    """libcurl 8.5 goes on reading for a paused call and gives up when it holds 64 MiB (mended in 8.6)."""
    linked = ctypes.CDLL("libcurl.so.4")
    linked.curl_version.restype = ctypes.c_char_p
    return linked.curl_version().startswith(b"libcurl/8.5.")


def slow_reader():
    """100 MB to a client that first reads nothing."""
    if curl_cannot_pause():
        raise tap.Skip("libcurl 8.5 can't pause a transfer of more than 64 MiB")
    mock = Mock()
    gate = start(config_for(mock.url))
    try:
        client = Client(gate.port)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        before = rss_kib(gate.process.pid)
        client.send(ask("stream-20000x0ms-b5000"))
        time.sleep(2)
        grown = rss_kib(gate.process.pid) - before
        wish(grown < 16384 * slack(), f"the gateway grew by {grown} KiB for a client that does not read")
        client.sock.settimeout(60)
        found, data = 0, b""
        while b"data: [DONE]" not in data:
            piece = client.sock.recv(1 << 20)
            wish(piece, "the stream was cut")
            data = data[-6000:] + piece
            for match in re.finditer(rb'"content":"w(\d+) ', data):
                number = int(match.group(1))
                wish(number <= found, f"delta {found} is missing before {number}")
                found = max(found, number + 1)
        wish(found == 20000, f"{found} of 20000 deltas came")
        grown = rss_kib(gate.process.pid) - before
        wish(grown < 24576 * slack(), f"the gateway has grown by {grown} KiB at the end")
        client.sock.close()
        gate.stop()
        faults = gate.judge_log()
        wish(not faults, "; ".join(faults))
    finally:
        gate.remove()
        mock.stop()


def leaving():
    """How soon the provider sees its connection go, for each way of leaving and each state."""
    provider = Provider("m")
    state = {}

    def play(_provider, link, _request):
        if state["when"] != "waiting":
            link.stream_head()
            for i in range(3):
                link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"w%d "}}]}\n\n' % i)
        if state["when"] == "flowing":
            link.may_break = True
            stop = threading.Event()
            state["stop"] = stop
            threading.Thread(target=flow, args=(link, stop), daemon=True).start()
        link.wait_left(3)
        state["left"] = time.monotonic()
        if state["when"] == "flowing":
            state["stop"].set()
        link.close()
        state["done"].set()

    def flow(link, stop):
        try:
            while not stop.wait(0.02):
                link.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"more "}}]}\n\n')
        except OSError:
            pass

    provider.blocks, provider.repeat = [play], True
    gate = start(config_for(provider.url[:-3], ", models: [m]"))
    times = []
    try:
        for _ in range(8):
            for how in ("close", "reset", "half"):
                for when in ("waiting", "stalled", "flowing"):
                    state.update(when=when, done=threading.Event())
                    client = Client(gate.port)
                    client.send(ask("m"))
                    if when == "waiting":
                        time.sleep(0.03)
                    else:
                        client.read(until=2)
                    gone = time.monotonic()
                    client.hang_up(how)
                    wish(state["done"].wait(3), f"{how} while {when}: the provider's connection stays")
                    times.append((state["left"] - gone, how, when))
                    client.sock.close()
        times.sort()
        late = times[int(len(times) * 0.99) - 1]
        wish(late[0] < 0.25, f"p99 is {late[0] * 1000:.1f} ms ({late[1]} while {late[2]})")
        print(f"# from leaving to the provider's close: p50 {times[len(times) // 2][0] * 1000:.2f} ms, "
              f"p99 {late[0] * 1000:.2f} ms, {len(times)} times")
        gate.stop()
        wish(not provider.faults, "; ".join(provider.faults))
    finally:
        provider.stop()
        gate.remove()


def many_streams(drain):
    """STREAMS at once, every delta in its order; SIGTERM comes after `drain` seconds: 0 is while most of them wait
    in the backlog, or unread in their sockets."""
    mock = Mock()
    gate = start(config_for(mock.url))
    chosen = selectors.DefaultSelector()
    try:
        clients = []
        for _ in range(STREAMS):
            client = Client(gate.port)
            client.send(ask("stream-30x50ms"))
            client.data = b""
            client.sock.setblocking(False)
            chosen.register(client.sock, selectors.EVENT_READ, client)
            clients.append(client)
        until, told, left = time.monotonic() + 30, False, len(clients)
        started = time.monotonic()
        while left and time.monotonic() < until:
            for key, _ in chosen.select(0 if drain == 0 and not told else 0.1):
                piece = key.data.sock.recv(1 << 16)
                key.data.data += piece
                if not piece or b"0\r\n\r\n" in key.data.data[-16:]:
                    chosen.unregister(key.data.sock)
                    left -= 1
            if drain is not None and not told and time.monotonic() - started >= drain:
                told = True
                gate.signal(signal.SIGTERM)
        wish(left == 0, f"{left} streams did not end")
        for client in clients:
            found = [int(n) for n in re.findall(rb'"content":"w(\d+) ', client.data)]
            wish(found == list(range(30)), f"a stream came as {found}: {client.data[-300:]!r}")
            wish(b"data: [DONE]" in client.data, "a stream has no end")
            client.sock.close()
        if drain is not None:
            wish(gate.wait_end() == 0, "the drained gateway did not end with 0")
        else:
            gate.stop()
        faults = gate.judge_log()
        wish(not faults, "; ".join(faults))
    finally:
        chosen.close()
        gate.remove()
        mock.stop()


def churn():
    """Requests of which a fifth leave early: descriptors and memory come back."""
    mock = Mock()
    gate = start(config_for(mock.url))
    fds = f"/proc/{gate.process.pid}/fd"
    try:
        def burst(seed, count):
            rng = random.Random(seed)
            for _ in range(count):
                client = Client(gate.port)
                client.send(ask("stream-5x1ms"))
                if rng.random() < 0.2:
                    client.hang_up(rng.choice(("close", "reset")))
                    continue
                wish(len(numbers_of(client.read())) == 5, "a delta is missing")
                client.sock.close()

        def together(seed, count):
            threads = [threading.Thread(target=burst, args=(seed + i, count)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(0.4)
            return len(os.listdir(fds)), rss_kib(gate.process.pid)

        together(1, 60)
        before = together(100, 60)
        after = together(200, 150)
        wish(after[0] <= before[0] + 16, f"descriptors went from {before[0]} to {after[0]}")
        wish(after[1] - before[1] < 6144 * slack(), f"memory went from {before[1]} to {after[1]} KiB")
        gate.stop()
    finally:
        gate.remove()
        mock.stop()


def main():
    if not gateway.present() or not os.path.exists(MOCK):
        print("not ok 1 - build/pointsman and build/tests/mock/mock are not there (make all tools)")
        return 1
    return tap.run([("a client that does not read holds its provider back and costs no memory", slow_reader),
                    ("a client that leaves is noticed at once, in every way and state", leaving),
                    (f"{STREAMS} streams at once keep their order", lambda: many_streams(None)),
                    (f"a drain lets {STREAMS} streams end whole", lambda: many_streams(0.7)),
                    (f"a drain serves {STREAMS} requests that were sent before it", lambda: many_streams(0)),
                    ("requests that come and go leave no descriptor and no memory behind", churn)])


if __name__ == "__main__":
    sys.exit(main())
