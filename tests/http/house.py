"""A house for the checks of the admin side: a gateway with two providers that answer by their names, its command line,
and one who asks it. Taken down as the gateway of a story is, sanitizers listened to."""
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

from gateway import BINARY, Gateway
from peers import Fault


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers chat completions; `stream` sends a piece every 50 ms until the client leaves or 40 went."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(body["model"])
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            text = json.dumps({"id": "x", "object": "chat.completion", "model": body["model"], "usage": usage,
                               "choices": [{"index": 0, "finish_reason": "stop", "message":
                                            {"role": "assistant", "content": "hello from " + self.server.name}}]})
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for i in range(40):
                self.piece({"choices": [{"index": 0, "delta": {"content": f"w{i} "}}]})
                time.sleep(0.05)
            self.piece({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.piece({"choices": [], "usage": usage})
            self.raw("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.left += 1

    def piece(self, event):
        self.raw("data: " + json.dumps(event) + "\n\n")

    def raw(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()


def start_provider(name):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    server.name, server.seen, server.left = name, [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class House(Gateway):
    def __init__(self, extra=""):
        super().__init__()
        self.home = self.folder
        os.chmod(self.home, 0o755)
        self.env.update(PATH=os.environ["PATH"], NO_COLOR="1")
        self.socket = os.path.join(self.data, "control.sock")
        self.one, self.two = start_provider("one"), start_provider("two")
        self.write(extra)
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def write(self, extra="", routes="  fast: { targets: [one/m1] }\n"):
        self.write_config(
            "listen: 127.0.0.1:0\nproviders:\n"
            f"  one: {{ dialect: openai, base_url: 'http://127.0.0.1:{self.one.server_port}/v1', models: [m1] }}\n"
            f"  two: {{ dialect: openai, base_url: 'http://127.0.0.1:{self.two.server_port}/v1', models: [m2] }}\n"
            "routes:\n" + routes + "prices: { one/m1: { input: 1, output: 2 }, two/m2: { input: 3, output: 4 } }\n"
            + extra)

    def words(self, *words):
        return [BINARY, *words, "--config", self.config, "--data", self.data]

    def run(self, *words, code=0):
        child = [] if "--" not in words else list(words[words.index("--"):])
        words = words if not child else words[:words.index("--")]
        done = subprocess.run(self.words(*words) + child, capture_output=True, text=True, env=self.env, timeout=60)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *words):
        return json.loads(self.run(*words, "--json").stdout)

    def lines(self, *words):
        return [json.loads(line) for line in self.run(*words, "--json").stdout.splitlines()]

    def ask(self, model="fast", stream=False, **headers):
        body = json.dumps({"model": model, "stream": stream, "max_tokens": 50,
                           "messages": [{"role": "user", "content": "hi there"}]})
        request = urllib.request.Request(self.url + "/v1/chat/completions", body.encode(),
                                         {"content-type": "application/json", **headers})
        try:
            return urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as refused:
            refused.msg = refused.read().decode()
            raise

    def text(self, *args, **kw):
        with self.ask(*args, **kw) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]

    def close(self):
        """Ends it, and the check with it where a sanitizer spoke: errors in the log may be what a check is about."""
        try:
            self.stop()
            faults = self.judge_log(errors_allowed=True)
            if faults:
                raise Fault("; ".join(faults))
        finally:
            self.remove()


def wait_for(what, seconds=5):
    end = time.time() + seconds
    while time.time() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("did not happen in time: " + (what.__doc__ or what.__name__))
