#!/usr/bin/env python3
"""A small disk of its own (16 MiB of tmpfs in a mount namespace, root only, else skipped): filled under a real
client, emptied, killed while full, made read-only, its files removed. No crash, nothing that was answered is
lost, metered work is refused in words, all heals without a restart. Prints TAP."""
import ctypes
import json
import os
import random
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, post  # noqa: E402

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
KEY = "disk-key-0123456789abcdef"
libc = ctypes.CDLL(None, use_errno=True)


def wish(right, text):
    if not right:
        raise Fault(text)


def own_mounts():
    return os.getuid() == 0 and libc.unshare(CLONE_NEWNS) == 0 and \
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0


class Bench:
    def __init__(self, size):
        self.provider = Provider("a")
        self.provider.blocks, self.provider.repeat = [self.play], True
        self.g = gateway.Gateway()
        self.disk = os.path.join(self.g.folder, "disk")
        os.mkdir(self.disk, 0o700)
        if libc.mount(b"tmpfs", self.disk.encode(), b"tmpfs", 0, f"size={size},mode=700".encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        self.g.data = os.path.join(self.disk, "data")
        self.g.env["K"] = KEY
        p = self.provider
        self.g.write_config(f"workers: 2\ncapture: {{ bodies: all }}\nkeys:\n  one: {{ secret: env:K, budget: {{ total: $100 }} }}\n"
                            f"providers:\n  a: {{ dialect: openai, base_url: \"{p.url}\", api_key: \"{p.key}\", models: [m] }}\n"
                            "prices:\n  \"*\": { input: 1, output: 1 }\n")
        self.g.start()
        self.answered = self.refused = 0
        self.lock = threading.Lock()

    @staticmethod
    def play(_, link, request):
        noise = random.randbytes(6000).hex()  # does not compress away
        link.answer(200, "application/json", json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "message": {
            "role": "assistant", "content": noise}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}).encode())

    def ask(self):
        client = Client(self.g.port)
        try:
            body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": random.randbytes(3000).hex()}]})
            client.send(post("/v1/chat/completions", body, [f"Authorization: Bearer {KEY}"]))
            answer = client.read()
        finally:
            client.sock.close()
        if answer.status == 200 and answer.complete:
            with self.lock:
                self.answered += 1
        else:
            wish(answer.status == 503 and "message" in json.loads(answer.body)["error"], f"{answer.status} {answer.text()[:300]}")
            with self.lock:
                self.refused += 1
        return answer.status

    def many(self, n, threads=8):
        faults = []

        def some():
            try:
                for _ in range(n // threads):
                    self.ask()
            except (Fault, OSError, ValueError, KeyError) as wrong:
                faults.append(str(wrong) or repr(wrong))
        workers = [threading.Thread(target=some) for _ in range(threads)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        wish(not faults, f"{len(faults)} clients: {faults[:1]}")
        wish(self.g.process.poll() is None, f"the gateway ended: {self.g.process.poll()} {self.g.read_log()[-400:]}")

    def heals(self, seconds=20):
        until = time.monotonic() + seconds
        while self.ask() != 200:
            wish(time.monotonic() < until, "no request is taken although there is room again")
            time.sleep(0.1)

    def fill(self):
        """Takes all room that is left, down to the last page."""
        self.ballast = os.path.join(self.disk, "ballast")
        fd = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for size in (1 << 20, 4096):
            try:
                while True:
                    os.write(fd, b"x" * size)
            except OSError:
                pass
        os.close(fd)

    def whole(self):
        """Every answered request is stored once, and all sums agree."""
        until = time.monotonic() + 20
        while True:  # what could not be stored, or a file that is gone, is tried again once a second
            rows = self.g.command("tail", "--no-follow", "--limit", "100000", "--json")[1].splitlines()
            done = sum(json.loads(r).get("outcome") == "ok" for r in rows)  # the last may say why it ends
            code, out, err = self.g.command("db", "check")
            if (done >= self.answered and code == 0) or time.monotonic() > until:
                break
            time.sleep(0.5)
        wish(done == self.answered, f"{self.answered} were answered, {done} are stored")
        wish(code == 0, f"db check: {out} {err}")

    def remove(self):
        self.g.kill()
        subprocess.run(["umount", "-l", self.disk], check=False)
        self.g.remove()
        self.provider.stop()


def it_fills_under_load_and_heals(b):
    b.many(40)  # the small disk is nearly full after 200: two logs of SQLite's and the spool take most of it
    wish(b.refused == 0, "refused with room on the disk")
    b.fill()
    for _ in range(20):  # records go on into what is reserved, until that is full too
        b.many(400)
        if b.refused:
            break
        b.fill()
    wish(b.refused > 0, "the spool has no end")
    status = b.g.command("status", "--json")[0]
    wish(status == 0, "a console gets no answer while the disk is full")
    os.unlink(b.ballast)
    b.heals()
    b.many(80)
    b.whole()
    b.g.stop()


def killed_while_full_it_says_so_or_starts_and_loses_nothing(b):
    b.many(100)
    b.fill()
    b.many(100)
    b.g.kill()
    try:
        b.g.start()
        b.g.kill()
    except Fault as said:
        wish("No space left" in str(said) or "full" in str(said), f"{said}")
    os.unlink(b.ballast)
    b.g.start()
    b.heals()
    b.whole()
    b.g.stop()


def files_that_are_removed_come_back(b):
    b.many(80)
    for names in (["pointsman.db-wal"], ["pointsman.db"], ["bodies.db", "bodies.db-wal"],
                  ["pointsman.db", "pointsman.db-wal", "pointsman.db-shm", "bodies.db", "bodies.db-wal", "bodies.db-shm"]):
        for name in names:
            try:
                os.unlink(os.path.join(b.g.data, name))
            except FileNotFoundError:
                pass
        b.many(40)
    b.whole()
    b.g.stop()
    b.g.start()
    b.heals()
    b.whole()
    b.g.stop()


def a_folder_that_takes_no_new_file_is_lived_with(b):
    """What a file system does that an error has made read-only: the next segment can't be made."""
    b.many(40)
    spool = os.path.join(b.g.data, "spool")
    wish(libc.mount(spool.encode(), spool.encode(), None, 0x1000, None) == 0, "no bind mount")
    wish(libc.mount(None, spool.encode(), None, 0x1000 | 0x20 | 1, None) == 0, "no read-only remount")
    # the gateway came in before: its descriptor leads to the old mount; one that starts now does not
    b.many(80)
    b.g.kill()
    try:
        b.g.start()
        b.many(8)
        b.g.kill()
    except Fault as said:
        wish("Read-only" in str(said), f"{said}")
    subprocess.run(["umount", spool], check=True)
    b.g.start()
    b.heals()
    b.whole()
    b.g.stop()


CHECKS = [(it_fills_under_load_and_heals, "16m"), (it_fills_under_load_and_heals, "4m"),
          (killed_while_full_it_says_so_or_starts_and_loses_nothing, "16m"), (files_that_are_removed_come_back, "64m"),
          (a_folder_that_takes_no_new_file_is_lived_with, "32m")]


def alone(check, size):
    b, begun = Bench(size), time.monotonic()
    try:
        check(b)
        return f"{b.answered} answered, {b.refused} refused, {time.monotonic() - begun:.0f} s"
    finally:
        b.remove()


def main():
    skip = None if gateway.present() and own_mounts() else "needs root, for a disk of its own"
    return tap.run([tap.test(alone, check, size, name=f"{tap.named(check)} ({size})") for check, size in CHECKS], skip)


if __name__ == "__main__":
    sys.exit(main())
