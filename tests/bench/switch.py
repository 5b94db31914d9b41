"""The switch as a person throws it: a console on a terminal of its own, `s`, part of a name, Enter; and as
a script does. How soon the next request goes elsewhere, alone and beside streams that run.

What lies between key and effect (console, the gateway's admin thread, this client) runs at real-time
priority where that is allowed: on a machine that others share the figure would be their time slices."""
import json
import os
import re
import socket
import time

import console
import rig as r

TARGETS = ("one/plain", "two/plain")
LATEST_US = 1000  # what was promised


class Asker:
    """Requests of one name on one connection."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), 10)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = r.post(r.chat("desk", 300))

    def target(self):
        """Who takes a request that is sent now."""
        self.connection.sendall(self.request)
        head, _ = whole(self.connection)
        found = re.search(rb"(?i)x-pointsman-target: *(\S+)", head)
        return found.group(1).decode() if found else ""


def whole(connection):
    got = b""
    while True:
        piece = connection.recv(65536)
        got += piece
        head, gap, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not piece or (gap and length and len(body) >= int(length.group(1))):
            return head, body


def gateway(rig, upstream):
    """On all cores, with two providers of one model and a route over both."""
    return rig.gateway("switch", upstream, "capture: off\nworkers: auto\n", keys=False, core=None,
                       names=("one", "two"), routes="  desk: { targets: [one/plain, two/plain] }\n")


def hurry(*threads):
    """True: these threads go before everybody else's from now on."""
    try:
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(5))
        return True
    except PermissionError:
        return False


def calm():
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def admin_thread(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as f:
            if f.read().strip() == "admin":
                return int(thread)
    raise SystemExit("the gateway has no admin thread")


def sit_down(rig, peer):
    """A console with the cursor on the route."""
    it = console.Console(rig.binary, peer.data, rig.env)
    for key in b"4j":
        it.read(0.5)
        os.write(it.fd, bytes([key]))
    it.read(0.5)
    return it


def by_key(it, asker, to, delay_us=LATEST_US):
    """Did a request that was sent delay_us after Enter take the new target?"""
    for keys, rest_s in ((b"s", 0.12), (to.encode(), 0.2)):
        os.write(it.fd, keys)
        it.read(rest_s)
    os.write(it.fd, b"\r")
    time.sleep(delay_us / 1e6)
    took = asker.target() == to
    it.read(0.1)
    if not took and asker.target() != to:
        raise SystemExit(f"the switch to {to} never held")
    return took


def by_script(control, to):
    """µs from its arrival at the gateway until the next request meets it, as the gateway says."""
    body = json.dumps({"to": to})
    control.sendall(f"POST /admin/v1/routes/desk/switch HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                    .encode())
    return json.loads(whole(control)[1])["in_force_us"]


def measure(rig, peer, keys, scripts):
    """How many of `keys` throws were late, the µs of `scripts` more, sorted, and whether all of it
    went before others' work."""
    asker, it = Asker(peer.port), sit_down(rig, peer)
    before = asker.target()
    hurried = hurry(0, it.pid, admin_thread(peer.pid))
    late = sum(not by_key(it, asker, TARGETS[(i + (before == TARGETS[0])) % 2]) for i in range(keys))
    control = socket.socket(socket.AF_UNIX)
    control.connect(os.path.join(peer.data, "control.sock"))
    took = []
    for i in range(scripts):
        took.append(by_script(control, TARGETS[i % 2]))
        it.read(0.02)
    if hurried:
        calm()
    it.end()
    return late, sorted(took), hurried
