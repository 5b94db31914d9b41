#!/usr/bin/env python3
"""A gateway that only tells: the admin API over a unix socket with scripted data, for the console's
tests and for looking at screens. Deterministic: --now fixes its clock.

    fake_gateway.py SOCKET [--now MS] [--data NAME] [--live]     data: traffic | empty | hostile
                                                                 live: rows move, for a person to watch
What a console sends (switch, undo, …) is appended to SOCKET.log, one JSON object a line, and answered.
"""
import argparse
import base64
import glob
import json
import os
import socketserver
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

BASE = 1795442531000  # 2026-11-23T14:02:11Z


def rfc3339(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + ".%03dZ" % (ms % 1000)


def ident(n, ms):
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    text, value = "", ms
    for _ in range(10):
        text = digits[value % 32] + text
        value //= 32
    tail, value = "", n
    for _ in range(16):
        tail = digits[value % 32] + tail
        value //= 32
    return text + tail


def record(n, ms, **more):
    r = {"id": ident(n, ms), "time": rfc3339(ms), "key": "", "team": "", "session": "", "tags": [],
         "client": {"user_agent": "openai-python/1.51", "peer": "127.0.0.1:52100"}, "client_uid": 1000,
         "endpoint": "/v1/chat/completions", "dialect": "openai", "model_asked": "fast", "route": "fast",
         "rule": "", "override": "", "target": "openai/gpt-5-mini", "model_served": "gpt-5-mini-2025-08-07",
         "stream": True, "state": "done", "status": 200, "outcome": "ok", "finish_reason": "stop",
         "attempts": [{"target": "openai/gpt-5-mini", "status": 200, "outcome": "ok", "reason": "", "ms": 3100}],
         "error": {"code": "", "message": ""}, "why": None, "dropped": [], "upstream_request_id": "req_1",
         "response_ref": "", "input_tokens": 1200, "cached_tokens": 0, "cache_write_tokens": 0,
         "output_tokens": 340, "reasoning_tokens": 0, "usage_source": "measured", "cost_nano": 1100000,
         "cost_source": "measured", "price_key": "openai/gpt-5-mini", "tool_calls": 0, "request_bytes": 5210,
         "response_bytes": 18211, "queue_us": 0, "connect_us": 12000, "retry_us": 0, "ttft_us": 410000,
         "max_gap_us": 96000, "client_stall_us": 0, "overhead_us": 82, "total_us": 3100000,
         "tokens_per_second": 126.4, "redacted": False}
    r.update(more)
    return r


def traffic(now):
    """The story of the mock-ups: what 14:02 looked like."""
    t = lambda s: now - int(s * 1000)
    two = [{"target": "anthropic/claude-haiku-4-5", "status": 429, "outcome": "upstream_error",
            "reason": "rate limit", "ms": 310},
           {"target": "openai/gpt-5-mini", "status": 200, "outcome": "ok", "reason": "fallback", "ms": 4090}]
    rows = []
    for n in range(30):
        rows.append(record(n, t(300 - n * 9), key="web-prod" if n % 3 else "batch",
                           model_asked="cheap" if n % 2 else "fast", route="cheap" if n % 2 else "fast",
                           target="lab/qwen3" if n % 2 else "openai/gpt-5-mini",
                           model_served="qwen3" if n % 2 else "gpt-5-mini-2025-08-07",
                           input_tokens=700 + 37 * n, output_tokens=40 + 11 * n,
                           cost_nano=0 if n % 2 else 210000 + 9000 * n,
                           ttft_us=110000 + 21000 * n, total_us=900000 + 110000 * n))
    rows += [
        record(40, t(9), key="web-prod", cached_tokens=600),
        record(41, t(8.5), key="batch", model_asked="llama-3.3-70b", route="", target="lab/llama-3.3-70b",
               model_served="llama-3.3-70b", input_tokens=812, output_tokens=129, ttft_us=120000,
               total_us=900000, cost_nano=0, cost_source="none", stream=False),
        record(42, t(8), key="ci-bot", team="ci", model_asked="claude-sonnet-4-5", route="claude-*",
               target="anthropic/claude-sonnet-4-5", model_served="", status=429, outcome="client_error",
               output_tokens=0, ttft_us=0, total_us=200000, cost_nano=0, input_tokens=3000,
               error={"code": "rate_limit_error", "message": "This request would exceed your rate limit"},
               finish_reason="", attempts=[{"target": "anthropic/claude-sonnet-4-5", "status": 429,
                                            "outcome": "client_error", "reason": "rate limit", "ms": 200}]),
        record(43, t(7.2), key="ci-bot", team="ci", input_tokens=3000, output_tokens=412, ttft_us=1900000,
               total_us=4400000, cost_nano=1500000, retry_us=310000, attempts=two, override="everyone"),
        record(44, t(3.4), key="alice", team="dev", session="claude-7f3a", state="streaming", status=200,
               outcome="", finish_reason="", model_asked="claude-sonnet-4-5", route="claude-*",
               target="anthropic/claude-sonnet-4-5", model_served="claude-sonnet-4-5-20250929",
               input_tokens=9800, cached_tokens=6958, output_tokens=212, ttft_us=880000, total_us=0,
               cost_nano=32600000, cost_source="estimated", tokens_per_second=62.1, tool_calls=2,
               client={"user_agent": "claude-cli/2.0.14", "peer": "10.0.3.7:40112"},
               dialect="anthropic", endpoint="/v1/messages"),
        record(45, t(1.2), key="alice", team="dev", session="claude-7f3a", state="sent", status=0, outcome="",
               finish_reason="", model_asked="gpt-5", route="", target="openai/gpt-5", model_served="",
               input_tokens=22000, output_tokens=0, ttft_us=0, total_us=0, cost_nano=0, cost_source="none",
               tokens_per_second=0),
        record(46, t(0.9), key="bob", model_asked="lab/qwen3", route="", target="lab/qwen3",
               model_served="", status=502, outcome="upstream_error", input_tokens=410, output_tokens=0,
               ttft_us=0, total_us=300000, cost_nano=0, cost_source="none", finish_reason="",
               error={"code": "upstream_connect", "message": "lab: connection refused"},
               attempts=[{"target": "lab/qwen3", "status": 0, "outcome": "upstream_error",
                          "reason": "connection refused", "ms": 300}]),
    ]
    return rows


def hostile(now):
    """Every text field carries what a terminal must never get."""
    rows = []
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
    shared = os.environ.get("POINTSMAN_SHARED", "")
    texts = ["\x1b]0;owned\x07", "\x9b31m", "\u202egnp.exe", "a\u0300\u0300\u0300\u0300\u0300\u0300b", "\ufeffx\u200by",
             "\x1b[2J\x1b[H", "\x1bP+q544e\x1b\\", "tab\there", "line\nbreak", "\U000e0041\U000e0042", "\x7f\x08\x08\x08"]
    for path in sorted(glob.glob(own + "/torture/ansi/inject/*") + glob.glob(shared + "/torture/ansi/inject/*")):
        with open(path, "rb") as f:
            texts.append(f.read(200).decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode())
    path = os.path.join(shared, "torture/ansi/xterm_js.jsonl")
    for line in open(path, encoding="utf-8") if os.path.exists(path) else []:
        texts.append(base64.b64decode(json.loads(line)["b64"])[:200].decode("latin-1"))
    for n, text in enumerate(texts):
        rows.append(record(n, now - 1000 * (len(texts) - n), key=text, team=text, session=text, model_asked=text,
                           route=text, target="p/" + text, model_served=text, finish_reason=text,
                           client={"user_agent": text, "peer": text}, endpoint=text,
                           error={"code": text, "message": text}))
    return rows


STREAM = [(881, "message_start", '{"type":"message_start","message":{"id":"msg_01","model":"claude-sonnet-4-5"}}'),
          (895, "content_block_start", '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
          (909, "content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"The parser"}}'),
          (1319, "content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" fails because the chunk boundary falls inside a UTF-8 sequence.\\nKeep the trailing bytes "}}'),
          (1331, "ping", '{"type":"ping"}'),
          (1340, "content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"and \\u001b]52;c;aGk=\\u0007 prepend them."}}'),
          (1400, "content_block_start", '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"read_file","input":{}}}'),
          (1420, "content_block_delta", '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"path\\":\\"src/sse.c\\",\\"off"}}')]


class Gateway:
    def __init__(self, args):
        self.args = args
        self.seq = 100
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.markers = []
        self.log = open(args.socket + ".log", "a", encoding="utf-8")
        self.rows = {"traffic": traffic, "hostile": hostile, "empty": lambda now: []}[args.data](self.now())
        if args.data == "traffic":
            self.markers = [{"seq": 50, "time_ms": self.now() - 8200, "who": "bob", "undo_rev": 42,
                             "text": "fast → openai/gpt-5-mini, everyone, back 14:17"}]
        self.unsure = {"providers/anthropic/drain"}  # refused once
        self.extra = {}
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake")
        for name in os.listdir(here) if os.path.isdir(here) else []:
            with open(os.path.join(here, name), encoding="utf-8") as f:
                self.extra[name[:-5]] = f.read()

    def now(self):
        return self.args.now or int(time.time() * 1000)

    def figures(self):
        live = sum(r["state"] != "done" for r in self.rows)
        if self.args.data == "empty":
            return {"req_per_s": 0, "live": 0, "err_ppm": 0, "spend_today_nano": 0, "nano_per_hour": 0,
                    "top_key": "", "mem_bytes": 6000000, "consoles": 1, "history": {}}
        wave = [(n * 7) % 23 for n in range(60)]
        return {"req_per_s": 12.4, "live": live, "err_ppm": 8000, "spend_today_nano": 4310000000,
                "nano_per_hour": 1120000000, "top_key": "ci-bot", "mem_bytes": 222298112, "consoles": 3,
                "history": {"req_per_s": wave, "ttft_p95_us": wave, "err_ppm": wave, "tok_per_s": wave,
                            "nano_per_min": wave}}

    def snapshot(self, since):
        first = since == 0
        rows = self.rows if first else self.rows[-2:] if self.args.live else []
        trouble = [{"provider": "anthropic", "err_ppm": 410000, "state": "failing", "text": "429 and 529"}]
        events = self.events() if first else []
        return {"seq": self.seq, "time_ms": self.now(), "resynced": False, "counters": self.figures(),
                "live": [r for r in self.rows if r["state"] != "done"],
                "recent": [r for r in reversed(rows) if r["state"] != "done" or r["state"] == "done"],
                "markers": self.markers, "trouble": trouble if self.args.data == "traffic" else [],
                "events": events, "refused": self.refused()}

    def refused(self):
        if self.args.data != "empty":
            return []
        return [{"time_ms": self.now() - 21000, "peer": "127.0.0.1:40022", "status": 401,
                 "reason": "open to user alice only; ask for a key"}]

    def events(self):
        if self.args.data == "empty":
            return []
        now = self.now()
        return [
            {"seq": 1, "time_ms": now - 131000, "level": "INFO", "kind": "ATTACHED", "repeated": 1,
             "text": "attach alice ssh 10.0.3.7 tmux-256color 120x40 viewer", "request_id": ""},
            {"seq": 2, "time_ms": now - 16000, "level": "AUDIT", "kind": "SWITCHED", "repeated": 1,
             "text": "bob@pts/3 route fast weight 60→20 (rev 41→42)", "request_id": ""},
            {"seq": 3, "time_ms": now - 9000, "level": "WARN", "kind": "LIMITED", "repeated": 3,
             "text": "429 anthropic, retried on openai", "request_id": self.rows[-3]["id"]},
            {"seq": 4, "time_ms": now - 900, "level": "WARN", "kind": "UPSTREAM_FAILED", "repeated": 1,
             "text": "upstream lab: connection refused (retry in 8 s)", "request_id": self.rows[-1]["id"]}]

    def past_events(self, before):
        """What the store has: two pages, the second of the day before."""
        if self.args.data == "empty":
            return {"events": [], "cursor": "", "done": True}
        first = before.startswith("t")
        at = self.now() - (200000 if first else 50000000)
        rows = [{"seq": 40 - n if first else 20 - n, "time_ms": at - n * 61000,
                 "level": "WARN" if n % 3 else "INFO", "kind": "BREAKER_OPEN" if n % 3 else "ATTACHED",
                 "repeated": 1, "request_id": "",
                 "text": "anthropic is not asked for a while: half of its last 20 answers were errors "
                         "(429 too many requests); it is tried again in 30 s" if n % 3 else f"console {n} attached"}
                for n in range(12)]
        return {"events": rows, "cursor": "older" if first else "", "done": not first}

    def status(self):
        return {"version": "0.1.0", "api": 1, "pid": 4121, "owner": "alice", "owner_uid": 1000,
                "you": {"user": "alice", "uid": 1000, "role": "admin"}, "listen": ["http://127.0.0.1:4141"],
                "open_to": "owner", "data": "/home/alice/.local/share/pointsman", "uptime_s": 518400,
                "requests": len(self.rows), "providers": ["openai", "anthropic", "lab"], "keys": 0,
                "demo": self.args.data == "empty", "try_model": "demo/atlas", "warnings": [],
                "capture": {"mode": "all", "keep_ms": 604800000, "keep_bytes": 2147483648, "bytes": 1000}}

    def detail(self, name):
        for r in self.rows:
            if r["id"] == name:
                body = json.dumps({"model": r["model_asked"], "messages": [
                    {"role": "user", "content": "why does the parser fail?"}], "stream": r["stream"]})
                return dict(r, request={"headers": {"content-type": "application/json",
                                                    "authorization": "Bearer sk-p…"},
                                        "body": body, "body_cut": False},
                            response={"headers": {"content-type": "text/event-stream"},
                                      "body": "data: {}\n\n", "body_cut": False},
                            events=[{"us": ms * 1000, "name": n, "data": d} for ms, n, d in STREAM],
                            sentence="slow by 3.1 s: provider's first token, p97 of 212",
                            usual={"ttft_p50_us": 610000, "ttft_p95_us": 1900000}, context_tokens=200000)
        return None

    def messages(self):
        part = lambda t: {"type": "text", "text": t}
        return {"messages": [{"role": "system", "parts": [part("You are a coding agent.")], "same_as_before": True},
                             {"role": "user", "parts": [part("fix sse.c")], "same_as_before": True},
                             {"role": "assistant", "parts": [{"type": "thinking", "text": "It wants a fix."},
                                                             part("I will read it."),
                                                             {"type": "tool_call", "name": "read_file",
                                                              "text": '{"path":"src/sse.c"}'}],
                              "same_as_before": False},
                             {"role": "tool", "parts": [{"type": "tool_result", "name": "read_file",
                                                         "text": "int main(void)\n{\n\treturn 0;\n}"},
                                                        {"type": "image", "text": "image/png, 12.3 kB"}],
                              "same_as_before": False}],
                "cache_note": "prompt cache broken at message 3: its text changed", "dialect": "chat",
                "sent": {"dialect": "messages", "provider": "anthropic", "changed": "seed, temperature",
                         "settings": [{"name": "seed", "said": "7", "sent": ""},
                                      {"name": "temperature", "said": "1.7", "sent": "1"}],
                         "messages": [{"role": "system", "parts": [part("You are a coding agent.")]},
                                      {"role": "user", "parts": [part("fix sse.c")]},
                                      {"role": "assistant", "parts": [
                                          part("I will read it."), {"type": "tool_call", "name": "read_file",
                                                                    "text": '{"path":"src/sse.c"}'}]},
                                      {"role": "tool", "parts": [
                                          {"type": "tool_result", "name": "read_file",
                                           "text": "int main(void)\n{\n\treturn 0;\n}"},
                                          {"type": "image", "text": "image/png, 12.3 kB"}]}],
                         "body": {"model": "claude-sonnet-4-5", "max_tokens": 8192, "messages": []}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode() if not isinstance(value, str) else value.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for ms, name, data in STREAM:
            chunk = json.dumps({"us": ms * 1000, "text": f"event: {name}\ndata: {data}\n\n"})
            self.wfile.write(f"event: chunk\ndata: {chunk}\n\n".encode())
            self.wfile.flush()
        time.sleep(60)

    def do_GET(self):
        g = self.server.gateway
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = url.path[len("/admin/v1/"):]
        parts = path.split("/")
        if path == "snapshot":
            since, wait = int(query.get("since", 0)), int(query.get("wait_ms", 0)) / 1000
            with g.changed:
                if since >= g.seq and wait:
                    g.changed.wait(wait)
                self.answer(200, g.snapshot(since))
        elif path == "status":
            self.answer(200, g.status())
        elif parts[0] == "exchanges" and len(parts) == 1:
            self.answer(200, {"rows": [], "cursor": "", "searched_back_to": "", "done": True, "hidden": 0})
        elif parts[0] == "exchanges" and len(parts) == 2:
            found = g.detail(parts[1])
            self.answer(200 if found else 404, found or {"error": {"code": "not_found", "message": "no such request"}})
        elif parts[0] == "exchanges" and parts[2] == "messages":
            self.answer(200, g.messages())
        elif parts[0] == "exchanges" and parts[2] == "stream":
            self.stream()
        elif path == "events":
            self.answer(200, g.past_events(query.get("before", "")))
        elif path in g.extra:
            self.answer(200, g.extra[path])
        else:
            self.answer(404, {"error": {"code": "not_found", "message": "nothing is at " + path}})

    def do_POST(self):
        g = self.server.gateway
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        path = self.path[len("/admin/v1/"):]
        with g.changed:
            g.log.write(json.dumps({"path": path, "body": json.loads(body or "{}")}) + "\n")
            g.log.flush()
            sent = json.loads(body or "{}")
            key = "POST " + path + (" dry" if sent.get("dry_run") else "")
            key = key.replace("/", "_")
            if path.endswith("/switch") and not sent.get("dry_run"):
                g.seq += 1
                g.markers.append({"seq": g.seq, "time_ms": g.now(), "who": "alice", "undo_rev": 43,
                                  "text": f"{path.split('/')[1]} → {sent['to']}, {sent['scope']}"})
                g.changed.notify_all()
            if sent.get("dry_run") and path in g.unsure:
                g.unsure.remove(path)
                self.answer(503, {"error": {"code": "busy", "message": "the store is busy: ask again"}})
                return
            generic = "POST_" + path.split("/")[-1] + ("_dry" if sent.get("dry_run") else "")
            self.answer(200, g.extra.get(key) or g.extra.get(generic) or {"revision": 43, "text": "done"})


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A console that left in the middle of an answer is no fault."""

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)


def move(gateway):
    """With --live: a new request ten times a second, running ones grow."""
    n = 1000
    while True:
        time.sleep(0.1)
        with gateway.changed:
            n += 1
            for r in gateway.rows:
                if r["state"] == "streaming":
                    r["output_tokens"] += 3
            gateway.rows.append(record(n, gateway.now(), key="web-prod", input_tokens=n))
            del gateway.rows[:-400]
            gateway.seq += 1
            gateway.changed.notify_all()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--now", type=int, default=0)
    parser.add_argument("--data", default="traffic")
    parser.add_argument("--live", action="store_true")
    args = parser.parse_args()
    if os.path.exists(args.socket):
        os.unlink(args.socket)
    server = Server(args.socket, Handler)
    server.gateway = Gateway(args)
    if args.live:
        threading.Thread(target=move, args=(server.gateway,), daemon=True).start()
    os.write(1, b"ready\n")
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
