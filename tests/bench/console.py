"""A console on a pseudo-terminal: when it paints, what it takes while nothing happens and while it
follows traffic, and how soon a key is answered."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
import time


class Console:
    """`pointsman attach` on a terminal of its own; the clock starts with its process."""

    def __init__(self, binary, data, env, columns=120, rows=40):
        self.began = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(binary, [binary, "--data", data, "attach"], dict(env, TERM="xterm-256color"))

    def read(self, seconds):
        """Everything that comes within `seconds`."""
        end, seen = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                seen += os.read(self.fd, 65536)
        return seen

    def until(self, marks, most_s=3):
        """ms from the start to each of these texts."""
        seen, found = b"", {}
        while time.monotonic() - self.began < most_s and len(found) < len(marks):
            if select.select([self.fd], [], [], 0.2)[0]:
                seen += os.read(self.fd, 65536)
            for mark in marks:
                if mark in seen:
                    found.setdefault(mark, (time.monotonic() - self.began) * 1000)
        return [found.get(mark, most_s * 1000) for mark in marks]

    def used(self):
        """CPU seconds and how often it ran so far."""
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as f:
            cpu = int(f.read().split()[0]) / 1e9
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            wakes = next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
        return cpu, wakes

    def watch(self, seconds):
        """CPU share, bytes a second, wake-ups a second."""
        before, n = self.used(), len(self.read(seconds))
        after = self.used()
        return (after[0] - before[0]) / seconds, n / seconds, (after[1] - before[1]) / seconds

    def answer_ms(self, keys, times):
        """How long each key takes until something is painted, sorted."""
        took = []
        for i in range(times):
            self.read(0.03)
            began = time.monotonic()
            os.write(self.fd, keys[i % len(keys)])
            if select.select([self.fd], [], [], 1)[0]:
                os.read(self.fd, 65536)
            took.append((time.monotonic() - began) * 1000)
        return sorted(took)

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Steady:
    """ask() `per_s` times a second until stop()."""

    def __init__(self, ask, per_s):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ask, 1 / per_s))
        self.thread.start()

    def run(self, ask, gap):
        due = time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            due += gap
            ask()

    def stop(self):
        self.over.set()
        self.thread.join()
