#!/usr/bin/env python3
"""What needs a network to itself: local model servers at their usual ports, clients from another address.
Runs in a network namespace of its own (root only, else skipped): no port of this machine is touched.
Prints TAP."""
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Fault  # noqa: E402

CLONE_NEWNET = 0x40000000
OTHER = "10.77.0.1"  # not a loopback address, on a device that leads nowhere


def wish(right, text):
    if not right:
        raise Fault(text)


def own_network():
    """False where this user may not have one."""
    if not shutil.which("ip") or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    commands = ["ip link set lo up", f"ip addr add {OTHER}/24 dev lo"]
    return all(subprocess.run(c.split(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
               for c in commands)


def local_servers_are_found(g):
    """Two of four answer with a list, one with a page, one takes connections and says nothing."""
    def lists(*models):
        body = json.dumps({"object": "list", "data": [{"id": m} for m in models]}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>"
    servers = {11434: lists("qwen3", "llama-3.3-70b"), 1234: lists("gemma"), 8080: page, 8000: b""}

    def serve(listener, answer):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            kept.append(peer)  # the silent one stays open
            if answer:
                peer.recv(65536)
                peer.sendall(answer)
                peer.close()
    kept, listeners = [], []
    for port, answer in servers.items():
        listener = socket.create_server(("127.0.0.1", port))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
    g.env["GROQ_API_KEY"] = "gsk_abcdefghij0123456789"
    g.write_config('providers:\n  lab: { dialect: openai, base_url: "http://localhost:1234/v1", models: [gemma] }\n')
    g.start()
    begun = time.monotonic()
    code, out, err = g.command("provider", "detect", "--json")
    took = time.monotonic() - begun
    found = {f["provider"]: f for f in map(json.loads, out.splitlines())}
    wish(code == 0 and set(found) == {"ollama", "lmstudio", "groq"}, f"{code} {out} {err}")
    wish(found["ollama"]["base_url"] == "http://127.0.0.1:11434/v1" and not found["ollama"]["used"], out)
    wish(found["ollama"]["models"] == ["qwen3", "llama-3.3-70b"], out)
    wish(found["lmstudio"]["used"], "a provider of the file at that port is not seen to be used")
    wish(took < 4, f"it took {took:.1f} s")
    code, out, _ = g.command("provider", "detect")
    wish(code == 0 and "http://127.0.0.1:11434/v1" in out and "provider add" in out, out)
    for s in listeners:
        s.shutdown(socket.SHUT_RDWR)  # its thread waits in accept()
        s.close()
    g.stop()


def the_gateway_is_not_its_own_local_server(g):
    g.write_config("workers: 1\n")
    g.start(["--listen", "127.0.0.1:8080"])
    code, out, err = g.command("provider", "detect", "--json")
    wish(code == 0 and out.strip() == "", f"{code} {out} {err}")
    g.stop()


def dial(port, address):
    s = socket.create_connection((address, port), 5, source_address=(address, 0))
    s.settimeout(5)
    return s


def one_address_has_so_many_connections(g):
    """limits.peer_connections: the next one is told 429; a loopback client and a trusted proxy are free of it."""
    g.env["K"] = "sk-pm-a-key-that-was-made-by-hand-1"
    text = "workers: 1\nallow_plaintext: true\nlimits: { peer_connections: 3 }\nkeys:\n  one: { secret: env:K }\n"
    g.write_config(text)
    g.start(["--listen", "0.0.0.0:0"])
    held = [dial(g.port, OTHER) for _ in range(3)]
    time.sleep(0.2)
    fourth = dial(g.port, OTHER)
    said = fourth.recv(4096)
    wish(b" 429 " in said[:20] and b"peer_connections" in said and b"Retry-After" in said, f"{said!r}")
    wish(fourth.recv(4096) == b"", "it is not closed")
    ask = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-pm-a-key-that-was-made-by-hand-1\r\n\r\n"
    near = [dial(g.port, "127.0.0.1") for _ in range(6)]
    for s in near:
        s.sendall(ask)
        wish(b" 200 " in s.recv(4096)[:20], "a loopback client is held to the limit")
    held.pop().close()
    time.sleep(0.2)
    again = dial(g.port, OTHER)
    again.sendall(ask.replace(b"127.0.0.1", OTHER.encode()))
    said = again.recv(4096)
    wish(said and b" 429 " not in said[:20], f"a place that was freed is not given again: {said!r}")
    for s in held + near + [fourth, again]:
        s.close()
    g.stop()
    g.write_config(text + f"trusted_proxies: [{OTHER}]\n")
    g.start(["--listen", "0.0.0.0:0"])
    many = [dial(g.port, OTHER) for _ in range(8)]
    many[-1].sendall(ask.replace(b"127.0.0.1", OTHER.encode()))
    said = many[-1].recv(4096)
    wish(said and b" 429 " not in said[:20], f"a trusted proxy is held to the limit: {said!r}")
    for s in many:
        s.close()
    g.stop()


def alone(check):
    g = gateway.Gateway()
    try:
        check(g)
    finally:
        g.remove()


def main():
    usable = gateway.present() and os.getuid() == 0 and own_network()
    return tap.run([tap.test(alone, check, name=tap.named(check)) for check in (
        local_servers_are_found, the_gateway_is_not_its_own_local_server, one_address_has_so_many_connections)],
                   None if usable else "needs root and iproute2, for a network of its own")


if __name__ == "__main__":
    sys.exit(main())
