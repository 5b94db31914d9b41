"""A gateway of a story: started on a folder of its own, asked over its socket, taken down, judged.

However a story goes, it ends with the same wishes: SIGTERM ends the process with 0, no sanitizer
spoke, nothing was logged as an error unless the story says so, and no provider's key was ever seen
by a client or in a log."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from peers import Fault

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POINTSMAN_BUILD", os.path.join(ROOT, "build"))
BINARY = os.environ.get("POINTSMAN_BIN", os.path.join(BUILD, "pointsman"))


class Gateway:
    prefix = ()  # a program to run it under

    def __init__(self, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="pointsman-story-")
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "pointsman.yaml")
        self.log = os.path.join(self.folder, "log")
        self.port = 0
        self.process = None
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.folder,
                    "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "POINTSMAN_SHARED"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, words=()):
        words = list(words) if "--listen" in words else ["--listen", "127.0.0.1:0", *words]
        command = [*self.prefix, BINARY, "serve", "--config", self.config, "--data", self.data, *words]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode("utf-8", "replace")
        found = re.match(r"listening http://[^:]+:(\d+)", line)
        if not found:
            self.process.wait(10)
            raise Fault(f"the gateway did not start: {line!r} {self.read_log()[-800:]}")
        self.port = int(found.group(1))

    def signal(self, number):
        self.process.send_signal(number)

    def wait_end(self, seconds=15):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Fault(f"the gateway did not end within {seconds} s of the signal") from None
        self.process.stdout.close()
        self.process = None
        return code

    def stop(self):
        """Ends it by SIGTERM; the exit status must be 0."""
        if not self.process:
            return
        self.signal(signal.SIGTERM)
        code = self.wait_end()
        if code != 0:
            raise Fault(f"the gateway ended with {code} on SIGTERM")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def read_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def judge_log(self, errors_allowed=False, secrets=()):
        text = self.read_log()
        faults = []
        if "Sanitizer" in text or "runtime error:" in text:
            faults.append("a sanitizer spoke: " + text[max(0, text.find("Sanitizer") - 200):][:1500])
        lines = [line for line in text.splitlines() if re.match(r"\S+ error\b", line)]
        if lines and not errors_allowed:
            faults.append("the gateway logged an error: " + lines[0])
        for secret in secrets:
            if secret in text:
                faults.append(f"a secret stands in the log: {secret[:12]}…")
        return faults

    def command(self, *words, stdin=b"", seconds=20):
        """(exit status, stdout, stderr) of `pointsman WORDS` against this gateway."""
        done = subprocess.run([BINARY, "--data", self.data, *words], cwd=self.folder, env=self.env,
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=seconds)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def records(self, limit=500):
        code, out, err = self.command("ps", "--json", "--limit", str(limit))
        if code != 0:
            raise Fault(f"ps ended with {code}: {err}")
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def record(self, ident=None, seconds=4.0):
        """The record of this id (or the newest one), once it is done."""
        until = time.monotonic() + seconds
        while True:
            found = [r for r in self.records() if ident in (None, r.get("id"))]
            if found and (found[0].get("state") == "done" or time.monotonic() > until):
                return found[0]
            if time.monotonic() > until:
                raise Fault(f"no record {ident or ''} within {seconds} s")
            time.sleep(0.03)

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def present():
    return os.access(BINARY, os.X_OK) and subprocess.run(
        [BINARY, "help", "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    print("gateway.py is a library of check_stories.py", file=sys.stderr)
