#!/usr/bin/env python3
"""A person at the switchboard, with real keys on real terminals (tmux) before a real gateway with two
providers and requests that never stop: three presses and the very next request goes elsewhere; one
provider's plug is pulled and no client sees an error; the screen says why each request went where it
went; two people edit the same route and neither loses anything."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import tap  # noqa: E402

BIN = os.environ.get("POINTSMAN_BIN", os.path.join(ROOT, "build", "pointsman"))
SIZES = ((80, 24), (120, 40), (200, 60))


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(0.02)
        body = json.dumps({"id": "x", "object": "chat.completion", "model": "any", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": self.server.name}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Plug(ThreadingHTTPServer):
    """A provider whose plug can be pulled: open connections end too."""
    daemon_threads = True

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Provider)
        self.name, self.open = name, set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request, address):
        self.open.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def pull(self):
        self.shutdown()
        self.server_close()
        for s in list(self.open):
            try:
                s.shutdown(2)
            except OSError:
                pass


class Loop:
    """Requests one after the other; what each was answered, and by whom."""

    def __init__(self, url, model):
        self.url, self.model, self.seen, self.on = url, model, [], True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": "hi"}]}).encode()
        while self.on:
            request = urllib.request.Request(self.url + "/v1/chat/completions", body,
                                             {"content-type": "application/json", "x-pointsman-session": "agent-1"})
            sent = time.time()
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    answer.read()
                    self.seen.append((sent, answer.headers["x-pointsman-target"], ""))
            except Exception as error:
                self.seen.append((sent, "", str(error)))
            time.sleep(0.03)

    def errors(self):
        return [e for _, _, e in self.seen if e]

    def after(self, moment):
        return [t for sent, t, _ in self.seen if sent > moment]


class Desk:
    """A gateway and the terminals before it; bare: without a configuration, two keys in the environment."""

    def __init__(self, bare=False):
        self.home = tempfile.mkdtemp(prefix="pm-desk-")
        self.tmux_socket = os.path.join(self.home, "tmux")
        self.alpha, self.beta = Plug("alpha"), Plug("beta")
        config = os.path.join(self.home, "c.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("listen: 127.0.0.1:0\nproviders:\n"
                    f"  alpha: {{ dialect: openai, base_url: 'http://127.0.0.1:{self.alpha.server_port}/v1', models: [apple] }}\n"
                    f"  beta: {{ dialect: openai, base_url: 'http://127.0.0.1:{self.beta.server_port}/v1', models: [berry] }}\n"
                    "routes:\n  fast: { targets: [alpha/apple, beta/berry] }\n"
                    "  ruled: { rules: [{ name: batch, if: { tools: yes }, use: beta/berry }], targets: [alpha/apple] }\n")
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and k != "POINTSMAN_SOCKET"}
        self.env = dict(kept, HOME=self.home, TERM="xterm-256color", LC_ALL="C.UTF-8")
        words, env = ["--config", config], self.env
        if bare:
            words, env = ["--listen", "127.0.0.1:0"], dict(self.env)
            for name, plug in (("OPENAI", self.alpha), ("XAI", self.beta)):
                env[name + "_API_KEY"] = "sk-of-nobody-0123456789"
                env[name + "_BASE_URL"] = f"http://127.0.0.1:{plug.server_port}/v1"
        self.process = subprocess.Popen([BIN, "serve", *words, "--data", self.data()], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[1]
        self.loop = Loop(self.url, "gpt-5-mini" if bare else "fast")
        self.tmux("new-session", "-d", "-s", "hold", "sleep 900")  # the server stays while people come and go

    def data(self):
        return os.path.join(self.home, "d")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.tmux_socket, "-f", "/dev/null", *words], env=self.env,
                              capture_output=True, text=True, timeout=20).stdout

    def sit(self, name, columns, rows):
        self.tmux("new-session", "-d", "-s", name, "-x", str(columns), "-y", str(rows),
                  f"{BIN} attach --data {self.data()}")
        self.sees(name, "✓ 200")

    def leave(self, name):
        self.tmux("kill-session", "-t", name)

    def press(self, name, *keys):
        for key in keys:
            self.tmux("send-keys", "-t", name, key)
            time.sleep(0.15)

    def type(self, name, text):
        self.tmux("send-keys", "-t", name, "-l", text)

    def screen(self, name):
        return self.tmux("capture-pane", "-p", "-t", name)

    def sees(self, name, *texts, seconds=15):
        end = time.time() + seconds
        while time.time() < end:
            shown = self.screen(name)
            if all(t in shown for t in texts):
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{texts} never stood on the screen:\n{self.screen(name)}")

    def escape(self, name, *texts):
        """Until that is gone: a key on the heels of Escape is Alt and that key, to a busy console as to any."""
        self.press(name, "Escape")
        end = time.time() + 15
        while any(t in self.screen(name) for t in texts):
            assert time.time() < end, f"{texts} stayed on the screen:\n{self.screen(name)}"
            time.sleep(0.1)

    def close(self):
        self.loop.on = False
        self.tmux("kill-server")
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)


def three_presses_and_the_very_next_request_goes_elsewhere(d, columns, rows):
    name = f"p{columns}"
    d.sit(name, columns, rows)
    d.press(name, "s")
    d.sees(name, "Switch fast", "beta/berry", "requests in 5 min")
    d.press(name, "Enter")
    moment = time.time()
    d.sees(name, "fast → beta/berry", "→berry")
    time.sleep(0.6)
    assert set(d.loop.after(moment)) == {"beta/berry"}, d.loop.after(moment)
    d.press(name, "u")
    d.sees(name, "Undo", "as configured")
    d.press(name, "Enter")
    d.sees(name, "undone")
    moment = time.time()
    time.sleep(0.6)
    assert set(d.loop.after(moment)) == {"alpha/apple"}, d.loop.after(moment)
    d.leave(name)


def without_a_configuration_any_name_can_be_switched(d):
    bare = Desk(bare=True)
    try:
        for name, typed, target in (("ann", "grok", "xai/grok-"), ("bob", "xai/of-tomorrow", "xai/of-tomorrow")):
            bare.sit(name, 100, 30)
            bare.press(name, "s")
            bare.sees(name, "Switch gpt-5-mini", "openai/gpt-5")
            bare.type(name, typed)
            bare.sees(name, "» " + target)
            bare.press(name, "Enter")
            moment = time.time()
            bare.sees(name, "gpt-5-mini → " + target)
            time.sleep(0.6)
            went = bare.loop.after(moment)
            assert went and all(t.startswith(target) for t in went), went
            bare.leave(name)
    finally:
        bare.close()


def two_people_edit_one_route_and_neither_loses_anything(d):
    d.sit("ann", 100, 30)
    d.sit("bob", 80, 24)
    for who in ("ann", "bob"):
        d.press(who, "4")
        d.sees(who, "ruled")
        d.press(who, "j", "e")
        d.sees(who, "Rules of ruled", "tools=yes -> beta/berry")
    d.press("ann", "j", "a")
    d.type("ann", "prompt_tokens=>100k -> beta/berry, alpha/apple")
    d.press("ann", "Enter")
    d.sees("ann", "staged, not in force", "prompt_tokens=>100k")
    d.press("ann", "K")
    d.sees("ann", "staged, not in force", "prompt_tokens=>100k -> beta/berry, alpha/apple")
    d.press("bob", "j", "Space")
    d.sees("bob", "[ ] batch: tools=yes")
    d.press("ann", "T")
    d.sees("ann", "with the staged edits")
    d.escape("ann", "with the staged edits")
    d.press("ann", "Enter")
    d.sees("ann", "✓ valid")
    d.press("ann", "Enter")
    d.sees("ann", "rule 1: if prompt_tokens >100k → beta/berry, alpha/apple")
    d.press("bob", "Enter")
    d.sees("bob", "✓ valid")
    d.press("bob", "Enter")
    d.sees("bob", "was changed in revision")
    d.escape("bob", "✓ valid")
    d.press("bob", "R")
    d.sees("bob", "your edits stand", "[ ] batch: tools=yes")
    d.press("bob", "Enter")
    d.sees("bob", "prompt_tokens", "✓ valid")  # ann's rule stands in the diff: nothing goes unseen
    d.escape("bob", "✓ valid")
    d.press("bob", "Escape")
    shown = subprocess.run([BIN, "route", "show", "ruled", "--data", d.data()], env=d.env, capture_output=True,
                           text=True, timeout=20).stdout
    assert shown.index("prompt_tokens") < shown.index("batch"), shown
    d.leave("ann")
    d.leave("bob")


def what_if_is_shown_before_anything_is_switched(d):
    d.sit("eve", 100, 30)
    d.press("eve", "s")
    d.sees("eve", "Switch fast", "requests in 5 min")
    d.press("eve", "M-w")
    d.sees("eve", "What if: fast", "nothing was sent", "alpha/apple → beta/berry")
    d.escape("eve", "What if: fast")
    d.leave("eve")


def a_pulled_plug_is_seen_by_nobody_but_the_switchboard(d):
    d.sit("zoe", 120, 40)
    before = len(d.loop.errors())
    moment = time.time()
    d.alpha.pull()
    d.sees("zoe", "✗ alpha")
    time.sleep(2)
    assert len(d.loop.errors()) == before == 0, d.loop.errors()[-3:]
    assert "beta/berry" in d.loop.after(moment)
    d.press("zoe", "!")
    d.sees("zoe", "open", "used by")
    d.press("zoe", "1", "/")
    d.type("zoe", "retry:>0")
    d.press("zoe", "Enter")
    d.sees("zoe", "↻")
    d.press("zoe", "Enter", "h", "h")
    d.sees("zoe", "why it went there", "could not connect", "1. alpha/apple", "2. beta/berry")
    d.press("zoe", "T")
    d.sees("zoe", "the next one like it would go", "breaker open")
    d.press("zoe", "Escape")
    d.leave("zoe")


def main():
    checks = [(three_presses_and_the_very_next_request_goes_elsewhere, size) for size in SIZES]
    checks += [(without_a_configuration_any_name_can_be_switched, ()),
               (two_people_edit_one_route_and_neither_loses_anything, ()),
               (what_if_is_shown_before_anything_is_switched, ()),
               (a_pulled_plug_is_seen_by_nobody_but_the_switchboard, ())]
    d = Desk() if shutil.which("tmux") else None
    try:
        return tap.run([tap.test(check, d, *size, name=tap.named(check) + (" at %dx%d" % size if size else ""))
                        for check, size in checks], None if d else "tmux plays the terminals here")
    finally:
        if d:
            d.close()


if __name__ == "__main__":
    sys.exit(main())
