#!/usr/bin/env python3
"""`pointsman doctor`: each thing that can be wrong is found, and how to mend it is said. Prints TAP."""
import http.server
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import house  # noqa: E402
import tap  # noqa: E402


class Refusing(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        good = self.server.good
        text = json.dumps({"data": [{"id": "m1"}]} if good else {"error": {"message": "bad key"}}).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class House(house.House):
    def write(self, extra="", routes=""):
        self.env.update(LAB_KEY="a-key-of-the-lab-0123", TERM="xterm-256color")
        self.lab = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        self.lab.good = True
        threading.Thread(target=self.lab.serve_forever, daemon=True).start()
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("listen: 127.0.0.1:0\nproviders:\n  lab: { dialect: openai, models: [m1], api_key: env:LAB_KEY, "
                    f"base_url: 'http://127.0.0.1:{self.lab.server_port}/v1' }}\n")

    def findings(self, verdict, *words, code=None):
        found = [json.loads(line) for line in self.run("doctor", "--json", *words, code=code).stdout.splitlines()]
        return [f for f in found if f["verdict"] == verdict]


def a_healthy_place_has_nothing_wrong(g):
    assert g.findings("wrong", code=0) == []
    assert {f["what"] for f in g.findings("ok", code=0)} >= {"config", "data", "store", "disk", "gateway", "socket", "key"}


def a_running_gateways_own_file_is_looked_at(g):
    done = subprocess.run([house.BINARY, "doctor", "--json", "--socket", g.socket], capture_output=True, text=True,
                          env=g.env, timeout=60)
    said = {f["what"]: f["text"] for f in map(json.loads, done.stdout.splitlines())}
    assert said["config"] == g.config and said["data"].startswith(g.data) and "providers" not in said, done.stdout


def a_key_that_the_provider_refuses_is_named(g):
    g.lab.good = False
    found = g.findings("wrong", code=1)
    g.lab.good = True
    assert len(found) == 1 and "lab refuses the key (401)" in found[0]["text"], found
    assert "a-key-of-the-lab" not in json.dumps(found)


def files_open_to_others_are_named_with_the_command(g):
    database = os.path.join(g.data, "pointsman.db")
    os.chmod(database, 0o644)
    os.chmod(g.data, 0o755)
    found = g.findings("wrong", code=1)
    os.chmod(database, 0o600)
    os.chmod(g.data, 0o700)
    assert any("chmod go= " + database in f["text"] for f in found), found
    assert any("chmod 700 " + g.data in f["text"] for f in found), found


def a_terminal_that_is_described_nowhere_is_a_worry(g):
    env, g.env = g.env, dict(g.env, TERM="vt9000")
    found = g.findings("warn", code=0)
    g.env = env
    assert any(f["what"] == "terminal" and "vt9000" in f["text"] and "xterm-256color" in f["text"] for f in found), found


def a_port_that_is_held_is_named_with_its_holder(g):
    g.stop()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        with open(g.config, encoding="utf-8") as f:
            text = f.read()
        with open(g.config, "w", encoding="utf-8") as f:
            f.write(text.replace("127.0.0.1:0", f"127.0.0.1:{stranger.getsockname()[1]}"))
        found = g.findings("wrong", code=1)
    assert any(f["what"] == "port" and f"(pid {os.getpid()})" in f["text"] for f in found), found


def a_fault_in_the_file_is_said(g):
    with open(g.config, "a", encoding="utf-8") as f:
        f.write("routs: {}\n")
    found = g.findings("wrong", code=1)
    assert any(f["what"] == "config" for f in found), found


def main():
    g = House()
    try:
        return tap.run([tap.test(check, g) for check in (
            a_healthy_place_has_nothing_wrong, a_running_gateways_own_file_is_looked_at,
            a_key_that_the_provider_refuses_is_named,
            files_open_to_others_are_named_with_the_command, a_terminal_that_is_described_nowhere_is_a_worry,
            a_port_that_is_held_is_named_with_its_holder, a_fault_in_the_file_is_said)])
    finally:
        g.close()


if __name__ == "__main__":
    sys.exit(main())
