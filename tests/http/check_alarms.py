#!/usr/bin/env python3
"""Alarms: a budget near its end, a key that spends far above its past, a session that repeats itself; each an event,
and told to a URL and to a program. Prints TAP. Needs the built binary ($POINTSMAN_BIN)."""
import http.server
import json
import os
import socket
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import house  # noqa: E402
import tap  # noqa: E402
from house import wait_for  # noqa: E402

SECRET = "a-secret-of-the-test-bot"


class Ear(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()


def tool_answer(handler, body):
    """The call that the last message asks for, whole or in pieces of three bytes."""
    name, arguments = body["messages"][-1]["content"].split(" ", 1)
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
    call = {"id": f"call_{time.monotonic_ns()}", "type": "function", "function": {"name": name, "arguments": arguments}}
    if not body.get("stream"):
        text = json.dumps({"choices": [{"index": 0, "finish_reason": "tool_calls",
                                        "message": {"role": "assistant", "tool_calls": [call]}}], "usage": usage})
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())
        return
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    handler.piece({"choices": [{"index": 0, "delta": {"tool_calls": [dict(
        call, index=0, function={"name": name, "arguments": ""})]}}]})
    for at in range(0, len(arguments), 3):
        handler.piece({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 0, "function": {"arguments": arguments[at:at + 3]}}]}}]})
    handler.piece({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    handler.piece({"choices": [], "usage": usage})
    handler.raw("data: [DONE]\n\n")
    handler.wfile.write(b"0\r\n\r\n")


class Provider(house.Provider):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tool_answer(self, body)


class House(house.House):
    """A call costs $1.80 here; what is told lands in .heard and in a file."""

    def __init__(self):
        self.ear = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
        self.ear.heard = []
        threading.Thread(target=self.ear.serve_forever, daemon=True).start()
        self.notify = ""
        super().__init__()

    def write(self, extra="", routes=""):
        self.one.RequestHandlerClass = Provider
        self.told = os.path.join(self.home, "told")
        notify = self.notify or (f"notify: {{ url: 'http://127.0.0.1:{self.ear.server_port}/alarm', "
                                 f"command: 'cat >> {self.told}' }}\n")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("listen: 127.0.0.1:0\nalarms: { budget: 80%, repeats: 3 }\n" + notify +
                    "providers:\n  one: { dialect: openai, models: [m1], "
                    f"base_url: 'http://127.0.0.1:{self.one.server_port}/v1' }}\n"
                    "prices: { one/m1: { input: 1800, output: 0 } }\n"
                    f"keys:\n  bot: {{ secret: {SECRET}, budget: {{ day: $4.20 }} }}\n"
                    f"  wild: {{ secret: {SECRET}-of-another }}\n")

    def call(self, words, session="", stream=False, secret=SECRET):
        body = json.dumps({"model": "m1", "stream": stream, "max_tokens": 1,
                           "messages": [{"role": "user", "content": words}]})
        headers = {"content-type": "application/json", "authorization": "Bearer " + secret}
        if session:
            headers["x-pointsman-session"] = session
        with urllib.request.urlopen(urllib.request.Request(self.url + "/v1/chat/completions", body.encode(), headers),
                                    timeout=20) as answer:
            return answer.read()

    def said(self, kind):
        return [e for e in self.lines("events") if e["kind"] == kind]

    def heard(self, kind):
        return [a for a in self.ear.heard if a["kind"] == kind]


def a_budget_near_its_end_is_said_once_a_window(g):
    g.call("look {}")
    time.sleep(2.5)
    assert not g.said("BUDGET_NEAR"), g.said("BUDGET_NEAR")
    g.call("read {}")
    event = wait_for(lambda: g.said("BUDGET_NEAR"), 8)[0]
    assert "key bot: 85 % of its daily budget is spent ($3.60 of $4.20)" in event["text"], event
    time.sleep(4.5)
    assert len(g.said("BUDGET_NEAR")) == 1


def a_url_and_a_program_are_told(g):
    alarm = wait_for(lambda: g.heard("BUDGET_NEAR"))[0]
    assert alarm["level"] == "warn" and "key bot" in alarm["text"] and alarm["gateway"] == g.url, alarm
    wait_for(lambda: os.path.exists(g.told) and "BUDGET_NEAR" in open(g.told, encoding="utf-8").read())
    with open(g.told, encoding="utf-8") as f:
        assert json.loads(f.readline()) == alarm


def a_budget_that_is_hit_is_told_too(g):
    try:
        g.call("look {}")
    except urllib.error.HTTPError as refused:
        assert refused.code in (402, 429), refused.code
    wait_for(lambda: g.heard("BUDGET_HIT"))


def a_session_that_repeats_a_call_is_said_whole_or_streamed(g):
    wild = SECRET + "-of-another"
    for i in range(2):
        g.call('run {"cmd":"make"}', "stuck", stream=bool(i % 2), secret=wild)
        g.call('run {"cmd":"ls %d"}' % i, "stuck", secret=wild)
    g.call('run {"cmd":"make"}', "another", secret=wild)
    assert not g.said("LOOPING"), g.said("LOOPING")
    g.call('run {"cmd":"make"}', "stuck", stream=True, secret=wild)
    event = wait_for(lambda: g.said("LOOPING"))[0]
    assert "session stuck made the same tool call 3 times" in event["text"] and event["request_id"], event
    g.call('run {"cmd":"make"}', "stuck", secret=wild)
    time.sleep(0.3)
    assert len(g.said("LOOPING")) == 1
    wait_for(lambda: g.heard("LOOPING"))


def a_key_without_a_past_has_nothing_to_be_compared_with(g):
    time.sleep(4)
    assert not g.said("SPEND_ANOMALY")


def spending_far_above_its_own_past_is_said(g):
    wait_for(lambda: len(g.lines("tail", "--no-follow")) >= 8)
    g.stop()
    with sqlite3.connect(os.path.join(g.data, "pointsman.db")) as db:  # all that was, was two days ago
        db.execute("UPDATE rollup SET start_ms = start_ms - 172800000")
    db.close()
    g.start()
    g.call("look {}", secret=SECRET + "-of-another")
    event = wait_for(lambda: g.said("SPEND_ANOMALY"), 10)[0]
    assert "key wild spends $" in event["text"] and "of the last 7 days" in event["text"], event
    wait_for(lambda: g.heard("SPEND_ANOMALY"))


def a_loop_of_one_prompt_is_said(g):
    wild = SECRET + "-of-another"
    for _ in range(11):
        g.call("same {}", secret=wild)
        g.call("other {\"n\":%d}" % time.monotonic_ns(), secret=wild)
    assert not [e for e in g.said("LOOPING") if "same request" in e["text"]], g.said("LOOPING")
    g.call("same {}", secret=wild)
    event = wait_for(lambda: [e for e in g.said("LOOPING") if "same request" in e["text"]])[0]
    assert "key wild sent the same request 12 times" in event["text"] and event["request_id"], event
    for _ in range(12):
        g.call("again {}", "stuck3", secret=wild)
    wait_for(lambda: [e for e in g.said("LOOPING") if "session stuck3 sent the same request 12 times" in e["text"]])


def a_program_is_given_no_secret_and_a_url_that_hangs_holds_nothing(g):
    deaf = socket.create_server(("127.0.0.1", 0))  # takes calls and never answers
    seen = os.path.join(g.home, "environment")
    g.notify = (f"notify: {{ url: 'http://127.0.0.1:{deaf.getsockname()[1]}/alarm', "
                f"command: 'env > {seen}.new; mv {seen}.new {seen}; exit 3' }}\n")
    g.write()
    g.stop()
    g.env["OPENAI_API_KEY"] = "sk-a-providers-key-0123456789"
    g.start()
    del g.env["OPENAI_API_KEY"]
    started = time.time()
    for i in range(3):
        g.call('spin {"n":3}', "stuck4", secret=SECRET + "-of-another")
    wait_for(lambda: os.path.exists(seen), 6)
    assert time.time() - started < 6
    with open(seen, encoding="utf-8") as f:
        text = f.read()
    assert "PATH=" in text and "HOME=" in text and "sk-a-providers" not in text and SECRET not in text, text
    failed = wait_for(lambda: [e for e in g.said("NOTIFY_FAILED") if "notify.command: failed with status 3" in e["text"]])
    assert failed
    wait_for(lambda: [e for e in g.said("NOTIFY_FAILED") if "notify.url: an alarm was not taken" in e["text"]], 30)
    g.call("fine {}", secret=SECRET + "-of-another")
    deaf.close()


def a_program_that_hangs_is_ended_and_the_gateway_goes_on(g):
    g.notify = "notify: { command: 'sleep 60.731 & sleep 61.731' }\n"
    g.write()
    g.run("config", "apply")
    started = time.time()
    for i in range(3):
        g.call('spin {"n":1}', "stuck2", secret=SECRET + "-of-another")
    wait_for(lambda: [p for p in processes() if p.startswith("sleep 61.731")], 5)
    assert g.run("status").returncode == 0
    wait_for(lambda: [e for e in g.said("NOTIFY_FAILED") if "ended after 10 s" in e["text"]], 16)
    wait_for(lambda: not [p for p in processes() if p.startswith(("sleep 61.731", "sleep 60.731"))], 16)
    assert time.time() - started > 9


def processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found.append(f.read().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            pass
    return found


def main():
    g = House()
    try:
        return tap.run([tap.test(check, g) for check in (
            a_budget_near_its_end_is_said_once_a_window, a_url_and_a_program_are_told, a_budget_that_is_hit_is_told_too,
            a_session_that_repeats_a_call_is_said_whole_or_streamed,
            a_key_without_a_past_has_nothing_to_be_compared_with, spending_far_above_its_own_past_is_said,
            a_loop_of_one_prompt_is_said,
            a_program_is_given_no_secret_and_a_url_that_hangs_holds_nothing,
            a_program_that_hangs_is_ended_and_the_gateway_goes_on)])
    finally:
        g.close()


if __name__ == "__main__":
    sys.exit(main())
