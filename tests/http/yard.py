"""A yard: providers with known speeds, prices, limits and faults, and a gateway in front of them, over
real sockets. Used by check_routing.py and check_failover.py."""
import collections
import concurrent.futures
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("POINTSMAN_BIN") or os.path.join(ROOT, "build", "pointsman")


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        s = self.server
        if s.pulled:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with s.lock:
            s.seen += 1
            s.times.append(time.monotonic())
        if body.get("stream"):
            return self.stream(s)
        time.sleep(s.delay)
        status = s.status
        text = json.dumps({"id": s.name, "choices": [{"index": 0, "finish_reason": "stop", "message":
                           {"role": "assistant", "content": s.name}}],
                           "usage": {"prompt_tokens": 10, "completion_tokens": s.tokens, "total_tokens": 10 + s.tokens}}
                          if status == 200 else {"error": {"message": "broken"}}).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(text)), **s.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def stream(self, s):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        time.sleep(s.delay)
        if s.first_event:
            self.wfile.write(f"{len(s.first_event):x}\r\n{s.first_event}\r\n0\r\n\r\n".encode())
            return
        for piece in [f"{s.name}{i} " for i in range(20)] + [None]:
            event = {"choices": [{"index": 0, "delta": {"content": piece}}]} if piece else "[DONE]"
            data = f"data: {event if piece is None else json.dumps(event)}\n\n"
            self.wfile.write(f"{len(data):x}\r\n{data}\r\n".encode())
            self.wfile.flush()
            time.sleep(0.03)
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name, delay):
        super().__init__(("127.0.0.1", 0), Provider)
        self.name, self.delay, self.status, self.headers, self.seen = name, delay, 200, {}, 0
        self.tokens, self.first_event, self.times, self.pulled = 5, "", [], False
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def pull(self):
        """No new connection is taken, those that are open end without an answer."""
        self.pulled = True
        self.shutdown()
        self.server_close()


class Yard:
    """routes: YAML below `routes:`; extra: more of a provider's settings, by its name."""

    def __init__(self, routes, extra=None, env=None):
        self.home = tempfile.mkdtemp(prefix="pm-yard-")
        self.servers = {n: Server(n, d) for n, d in
                        (("a", 0.01), ("b", 0.01), ("c", 0.01), ("slow", 0.25), ("frail", 0.01))}
        self.config, self.extra = os.path.join(self.home, "c.yaml"), extra or {}
        self.env = dict({k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}, HOME=self.home)
        self.plain_env = dict(self.env)
        self.env.update(env or {})
        self.base = [BIN, "--config", self.config, "--data", os.path.join(self.home, "d")]
        self.write(routes)
        self.start()

    def write(self, routes):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("listen: 127.0.0.1:0\nproviders:\n")
            for n, s in self.servers.items():
                f.write(f"  {n}: {{ dialect: openai, base_url: 'http://127.0.0.1:{s.server_port}/v1', models: [m]"
                        f"{self.extra.get(n, '')} }}\n")
            f.write("routes:" + routes + "prices:\n")
            for n, price in (("a", 3), ("b", 1), ("c", 2)):
                f.write(f"  {n}/m: {{ input: {price}, output: {price} }}\n")

    def start(self):
        self.process = subprocess.Popen(self.base + ["serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env=self.env)
        self.url = self.process.stdout.readline().split()[1]

    def try_(self, *words):
        return subprocess.run(self.base + list(words), capture_output=True, text=True, env=self.plain_env, timeout=60)

    def run(self, *words):
        done = self.try_(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))

    def lines(self, *words):
        return [json.loads(line) for line in self.run(*words, "--json").splitlines()]

    def ask(self, model, session="", stream=False):
        body = json.dumps({"model": model, "stream": stream, "max_tokens": 20,
                           "messages": [{"role": "user", "content": "hi"}]}).encode()
        headers = {"content-type": "application/json", **({"x-pointsman-session": session} if session else {})}
        with urllib.request.urlopen(urllib.request.Request(self.url + "/v1/chat/completions", body, headers),
                                    timeout=30) as answer:
            return answer.headers["x-pointsman-target"].split("/")[0], answer.read().decode()

    def shares(self, model, n, at_once=1, session=None):
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            names = pool.map(lambda i: self.ask(model, session(i) if session else "")[0], range(n))
            return collections.Counter(names)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
