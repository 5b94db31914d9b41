#!/usr/bin/env python3
"""Several people at one gateway: real unix users, what each may do and see, and who is named for it. Needs root (it makes
users and removes them again), else skips. Prints TAP. Needs the built binary ($POINTSMAN_BIN)."""
import fcntl
import grp
import http.client
import json
import os
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import house  # noqa: E402
import tap  # noqa: E402
from gateway import BINARY  # noqa: E402
from house import wait_for  # noqa: E402

GROUP, OP, VIEW, OUT = "pmtestgrp", "pmtestop", "pmtestview", "pmtestout"


def make_users():
    subprocess.run(["groupadd", "-f", GROUP], check=True)
    for name, groups in ((OP, ["-G", GROUP]), (VIEW, ["-G", GROUP]), (OUT, [])):
        if name not in {p.pw_name for p in pwd.getpwall()}:
            subprocess.run(["useradd", "-M", "-s", "/bin/sh", *groups, name], check=True)


def remove_users():
    for name in (OP, VIEW, OUT):
        subprocess.run(["userdel", name], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["groupdel", GROUP], stderr=subprocess.DEVNULL, check=False)


def become(user):
    who = pwd.getpwnam(user)
    os.initgroups(user, who.pw_gid)
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)


class House(house.House):
    def __init__(self):
        self.open_to = "owner"
        super().__init__()
        self.binary = os.path.join(self.home, "pointsman")
        shutil.copy(BINARY, self.binary)

    def write(self, extra="", routes="  fast: { targets: [one/m1] }\n"):
        self.door = os.path.join(self.home, "people.sock")
        super().write(f"open_to: {self.open_to}\nsocket: {self.door}\naccess: {{ group: {GROUP}, bodies: own, "
                      f"roles: {{ operator: [{OP}], viewer: ['@{GROUP}'] }} }}\n" + extra, routes)

    def as_user(self, user, *words):
        env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "POINTSMAN_SOCKET": self.door}
        return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=env, cwd="/", timeout=40, preexec_fn=lambda: become(user))

    def verb(self, user, *words, code=0):
        done = self.as_user(user, self.binary, *words)
        assert done.returncode == code, f"{user} {words}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}"
        return done

    def status_of_a_request_by(self, user):
        """HTTP status and text of a chat request of that user, without any key."""
        inside, outside = os.pipe()
        child = os.fork()  # an interpreter of root's own could not be started by them
        if child == 0:
            try:
                become(user)
                c = http.client.HTTPConnection(self.url.split("//")[1], timeout=20)
                c.request("POST", "/v1/chat/completions", '{"model":"fast","messages":[]}',
                          {"content-type": "application/json"})
                r = c.getresponse()
                os.write(outside, f"{r.status}\n{r.read().decode()}".encode())
            finally:
                os._exit(0)
        os.close(outside)
        with os.fdopen(inside, encoding="utf-8") as pipe:
            status, _, text = pipe.read().partition("\n")
        os.waitpid(child, 0)
        return int(status), text


def a_second_user_gets_401_and_nothing_reaches_a_provider(g):
    before = len(g.one.seen) + len(g.two.seen)
    status, text = g.status_of_a_request_by(OUT)
    assert status == 401 and "open to" in text and "key" in text, (status, text)
    assert len(g.one.seen) + len(g.two.seen) == before
    assert not g.lines("tail", "--no-follow"), "a stranger never reaches the store"
    assert any(OUT not in e["text"] and e["kind"] == "REFUSED" for e in g.lines("events"))


def the_socket_is_closed_to_those_outside_of_the_group(g):
    said = g.verb(OUT, "status", code=1).stderr
    assert f"group {GROUP}" in said and "log in anew" in said, said
    assert oct(os.stat(g.door).st_mode & 0o777) == "0o660" and os.stat(g.door).st_gid == grp.getgrnam(GROUP).gr_gid


def each_is_told_the_own_role(g):
    for user, role in ((OP, "operator"), (VIEW, "viewer")):
        you = json.loads(g.verb(user, "status", "--json").stdout)["you"]
        assert you["user"] == user and you["role"] == role, you


def asked_as(user, door, path):
    """What the admin API answers to a process of that user."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become(user)
            link = http.client.HTTPConnection("x", timeout=10)
            link.sock = socket.socket(socket.AF_UNIX)
            link.sock.connect(door)
            link.request("GET", "/admin/v1/" + path)
            os.write(theirs, link.getresponse().read()[:60000])
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return said


def a_viewer_sees_figures_and_no_bodies_on_every_verb(g):
    assert g.text() == "hello from one"
    ident = g.lines("ps")[0]["id"]
    wait_for(lambda: g.json("show", ident).get("request", {}).get("body"))
    row = json.loads(g.verb(VIEW, "ps", "--json").stdout.splitlines()[0])
    assert row["id"] == ident and row["input_tokens"] == 10, row
    for words in (["show", ident, "--json"], ["show", ident], ["show", ident, "--as", "anthropic"],
                  ["export", ident, "--format", "curl"], ["export", ident], ["tail", "--no-follow", "--json"]):
        done = g.as_user(VIEW, g.binary, *words)
        both = done.stdout + done.stderr
        assert "hi there" not in both and "hello from" not in both, (words, both)
    # and what the console asks for, with nothing between
    for path in ("", "/messages", "/as/openai", "/as/gemini", "/stream"):
        said = asked_as(VIEW, g.door, f"exchanges/{ident}{path}")
        assert said and "hi there" not in said and "hello from" not in said, (path, said)
    wait_for(lambda: any(a["who"] == VIEW and "refused the bodies" in a["what"] for a in g.lines("audit")))


def a_viewer_changes_nothing(g):
    ident = g.lines("ps")[0]["id"]
    for words in (["route", "switch", "fast", "two/m2"], ["route", "undo"], ["key", "add", "mine"], ["cancel", ident],
                  ["provider", "trip", "one"], ["provider", "drain", "one"], ["config", "apply"], ["down"], ["restart"],
                  ["db", "backup", "/tmp/none"], ["profile", "save", "p"], ["run", "--", "true"]):
        said = g.verb(VIEW, *words, code=1).stderr
        assert "role viewer" in said and "access.roles" in said, (words, said)
    assert g.text() == "hello from one"


def an_operator_switches_and_is_named_for_it(g):
    g.verb(OP, "route", "switch", "fast", "two/m2")
    assert g.text() == "hello from two"
    row = wait_for(lambda: [a for a in g.lines("audit") if "two/m2" in a["what"]])[0]
    assert row["who"] == OP and row["uid"] == pwd.getpwnam(OP).pw_uid, row
    said = g.verb(VIEW, "route", "undo", code=1).stderr
    assert "role viewer" in said, said
    g.verb(OP, "route", "undo")
    assert g.text() == "hello from one"


def an_undo_takes_nothing_of_others_and_lists_the_last_five(g):
    for n in range(7):
        g.verb(OP, "route", "switch", "fast", ("two/m2", "one/m1")[n % 2])
    said = g.run("route", "undo", code=1).stderr
    assert len(re.findall(rf"\d+ {OP}", said)) == 5, said
    assert g.text() == "hello from two", "somebody else's switch was undone"
    g.run("route", "undo", "--rev", re.findall(rf"(\d+) {OP}", said)[0])
    assert g.text() == "hello from one"


def an_operator_is_no_admin(g):
    for words in (["key", "add", "mine"], ["down"], ["config", "apply"], ["prices", "reprice", "--write"]):
        said = g.verb(OP, *words, code=1).stderr
        assert "role operator" in said and "needs admin" in said, (words, said)


def in_a_terminal(user, door, binary, keys, *words):
    """The bytes that a console of that user paints after each key, in a terminal of 100 columns and 30 rows."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            become(user)
            os.chdir("/")
            os.execve(binary, [binary, *words], {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "HOME": "/nowhere",
                                                 "PATH": "/usr/bin:/bin", "POINTSMAN_SOCKET": door})
        finally:
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    painted = []
    try:
        for key in ["", *keys]:
            os.write(terminal, key.encode())
            seen, end = b"", time.monotonic() + 1.2
            while time.monotonic() < end:
                if select.select([terminal], [], [], 0.1)[0]:
                    seen += os.read(terminal, 65536)
            painted.append(seen.decode("utf-8", "replace"))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    return painted


def a_readonly_console_of_an_operator_changes_nothing(g):
    before = g.lines("audit")
    painted = in_a_terminal(OP, g.door, g.binary, ["4", "s", "m2", "\r", "\r"], "attach", "--readonly")
    assert "readonly" in painted[0], painted[0][-2000:]
    assert "only looks" in "".join(painted[1:]), painted[-3:]
    assert g.lines("audit") == before and g.text() == "hello from one"


def people_names_who_is_there_with_the_role(g):
    painted = in_a_terminal(VIEW, g.door, g.binary, [":people\r"], "attach")
    assert VIEW in painted[1] and "viewer" in painted[1], painted[1]


def an_operator_sees_no_bodies_of_others(g):
    others = g.lines("ps")[0]["id"]
    said = asked_as(OP, g.door, f"exchanges/{others}/messages") + g.as_user(OP, g.binary, "show", others).stdout
    assert "hi there" not in said and "hello from" not in said, said


def open_to_any_lets_the_second_user_in_and_says_so(g):
    g.stop()
    g.open_to = "any"
    g.write()
    g.start()
    status, text = g.status_of_a_request_by(OUT)
    assert status == 200, (status, text)
    assert g.lines("ps")[0]["client_uid"] in (pwd.getpwnam(OUT).pw_uid, -1)
    assert "OPEN TO ANY USER" in g.run("status").stdout


CHECKS = [a_second_user_gets_401_and_nothing_reaches_a_provider, the_socket_is_closed_to_those_outside_of_the_group,
          each_is_told_the_own_role, a_viewer_sees_figures_and_no_bodies_on_every_verb, a_viewer_changes_nothing,
          an_operator_switches_and_is_named_for_it,
          an_undo_takes_nothing_of_others_and_lists_the_last_five, an_operator_is_no_admin,
          an_operator_sees_no_bodies_of_others, a_readonly_console_of_an_operator_changes_nothing,
          people_names_who_is_there_with_the_role,
          open_to_any_lets_the_second_user_in_and_says_so]


def main():
    if os.getuid() != 0 or not shutil.which("useradd"):
        return tap.run([tap.test(check) for check in CHECKS], skip="needs root and useradd")
    g = None
    try:
        make_users()
        g = House()
        return tap.run([tap.test(check, g) for check in CHECKS])
    finally:
        if g:
            g.close()
        remove_users()


if __name__ == "__main__":
    sys.exit(main())
