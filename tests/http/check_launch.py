#!/usr/bin/env python3
"""Who starts a gateway, stops it and finds it: real processes, a data folder of their own, an unprivileged user when
root runs this. Prints TAP. Needs the built binary ($POINTSMAN_BIN); what needs root is skipped without."""
import fcntl
import glob
import http.client
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import tap  # noqa: E402

BIN = os.environ.get("POINTSMAN_BIN") or os.path.join(ROOT, "build", "pointsman")
NOBODY = 65534
AS_ROOT = os.getuid() == 0


def drop():
    if AS_ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds=10.0, why="it did not happen in time"):
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(why)
        time.sleep(0.03)


class Slow(threading.Thread):
    """A provider: streams a word every 50 ms, 20 of them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            peer, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = peer.recv(65536)
                if not piece:
                    return
                data += piece
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
                for i in range(20):
                    event = {"choices": [{"index": 0, "delta": {"content": f"w{i} "}}]}
                    peer.sendall(b"data: " + json.dumps(event).encode() + b"\n\n")
                    time.sleep(0.05)
                peer.sendall(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
            except OSError:
                pass


class Console:
    """`pointsman WORDS` on a terminal of its own."""

    def __init__(self, place, *words, term="xterm-256color", own=True, **env):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        if AS_ROOT and own:
            os.fchown(slave, NOBODY, NOBODY)
        env = dict(place.env, **env)
        env.pop("TERM", None)
        if term:
            env["TERM"] = term

        def become():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            place.become()

        self.process = subprocess.Popen([place.binary, *words], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        cwd=place.home, preexec_fn=become)
        os.close(slave)
        self.text = b""

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return self.text
            if not piece:
                break
            self.text += piece
        return self.text

    def shows(self, text, seconds=10):
        try:
            wait_for(lambda: text.encode() in self.read(), seconds)
        except AssertionError:
            raise AssertionError(f"no {text!r} on the terminal: {self.text[-600:]!r}") from None

    def type(self, keys):
        os.write(self.master, keys)

    def ends(self, seconds=15):
        wait_for(lambda: (self.read(), self.process.poll() is not None)[1], seconds, "the console does not end")
        self.read()
        os.close(self.master)
        return self.process.returncode

    def hang_up(self):
        os.close(self.master)
        self.process.wait(15)


class Place:
    """A home, a data folder and perhaps a configuration of one user."""

    def __init__(self, config=None, user=True):
        self.become = drop if user else lambda: None
        self.home = tempfile.mkdtemp(prefix="pm-launch-")
        os.chmod(self.home, 0o755)
        self.binary = os.path.join(self.home, "pointsman")
        shutil.copy(BIN, self.binary)
        self.data = os.path.join(self.home, "data")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = os.path.join(self.home, "pointsman.yaml")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(f"listen: 127.0.0.1:{self.port}\ndata: {self.data}\n" + (config or ""))
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.home, "LC_ALL": "C.UTF-8",
                    "POINTSMAN_CONFIG": self.file, "TERM": "dumb"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if AS_ROOT and user:
            for path in (self.home, self.file):
                os.chown(path, NOBODY, NOBODY)
        self.started = []

    def start(self, *words, **env):
        """A command that goes on; its stdout and stderr are pipes."""
        child = subprocess.Popen([self.binary, *words], env=dict(self.env, **env), cwd=self.home, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 preexec_fn=self.become)
        self.started.append(child)
        return child

    def run(self, *words, code=0, **env):
        done = subprocess.run([self.binary, *words], env=dict(self.env, **env), cwd=self.home, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              preexec_fn=self.become)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: exit {done.returncode}, not {code}: {done.stdout[-300:]}{done.stderr[-500:]}")
        return done

    def serve(self, *words, **env):
        child = self.start("serve", *words, **env)
        line = child.stdout.readline()
        assert line.startswith("listening http://"), line + child.stderr.read()
        return child

    def without_file(self):
        """Options of a gateway that has no configuration but the environment."""
        del self.env["POINTSMAN_CONFIG"]
        self.env["POINTSMAN_SOCKET"] = os.path.join(self.data, "control.sock")
        return "--data", self.data, "--listen", f"127.0.0.1:{self.port}"

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def post(self, body, path="/v1/chat/completions", **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        c.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
        return c.getresponse()

    def remove(self):
        self.run("down", "--now", code=None)
        for child in self.started:
            if child.poll() is None:
                child.kill()
            child.communicate()
        shutil.rmtree(self.home, ignore_errors=True)


def gateways_on(place):
    """Pids of gateways started from that place."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                state = f.read().rpartition(")")[2].split()[0]
            inside = b"serve" in words and os.readlink(f"/proc/{pid}/cwd") == place.home
        except OSError:
            continue
        if inside and state != "Z":
            found.append(int(pid))
    return found


# ---- finding and starting ----

def six_starts_at_once_make_one_gateway_that_all_use(p):
    children = [p.start("run", "--", "true") for _ in range(6)]
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    pid = p.status()["pid"]
    if AS_ROOT:  # a gateway hides its folder from others
        assert gateways_on(p) == [pid], (gateways_on(p), pid)


def a_gateway_started_by_a_verb_is_a_session_of_its_own(p):
    p.run("run", "--", "true")
    pid = p.status()["pid"]
    assert os.getsid(pid) == pid
    with open(os.path.join(p.data, "gateway.log"), encoding="utf-8") as log:
        assert f"listening {p.url}" in log.read()


def a_fault_in_the_file_is_the_reason_that_is_shown(p):
    with open(p.file, "a", encoding="utf-8") as f:
        f.write("routs: {}\n")
    said = p.run("run", "--", "true", code=1).stderr
    assert "routs" in said and "routes" in said, said


def none_answers_is_exit_3_and_says_what_to_type(p):
    said = p.run("status", code=3).stderr
    assert "no gateway answers at " + p.data in said and "pointsman serve" in said, said


def a_port_held_by_a_stranger_is_named_and_no_other_is_taken(p):
    stranger = subprocess.Popen([sys.executable, "-c", "import socket,time\ns=socket.create_server(('127.0.0.1',"
                                 f"{p.port}))\nprint('up',flush=True)\ntime.sleep(60)"], stdout=subprocess.PIPE)
    try:
        stranger.stdout.readline()
        said = p.run("serve", code=1).stderr
        assert f"listen: 127.0.0.1:{p.port}: Address already in use, held by " in said, said
        if AS_ROOT:  # another user's process can't be seen
            assert "held by a process of root" in said, said
            p.become, kept = lambda: None, p.become
            os.chown(p.data, 0, 0)
            shutil.rmtree(p.data)
            said = p.run("serve", code=1).stderr
            shutil.rmtree(p.data)
            p.become = kept
        assert re.search(rf"held by python3\S* \(pid {stranger.pid}\) of ", said), said
        assert "--listen" in said, said
        said = p.run("run", "--", "true", code=1).stderr
        assert "the gateway could not start: listen: " in said and "held by" in said, said
    finally:
        stranger.kill()
        stranger.communicate()
    p.run("run", "--", "true")


def the_port_of_another_gateway_is_named_too(p):
    p.serve()
    other = p.run("serve", "--data", os.path.join(p.home, "other"), code=1).stderr
    assert f"held by pointsman (pid {p.status()['pid']}) of " in other, other
    p.run("down")
    p.run("run", "--", "true")  # starts one by itself
    other = p.run("serve", "--data", os.path.join(p.home, "other"), "--listen", p.url.split("//")[1], code=1).stderr
    assert f"held by pointsman (pid {p.status()['pid']}) of " in other, other


def a_second_gateway_on_the_data_folder_refuses_with_the_first_ones_pid(p):
    first = p.serve()
    said = p.run("serve", "--listen", "127.0.0.1:0", code=1).stderr
    assert f"another gateway (pid {first.pid}) uses {p.data}" in said, said
    assert p.status()["pid"] == first.pid


def a_second_gateway_does_not_take_the_first_ones_socket(p):
    first = p.serve()
    said = p.run("serve", "--listen", "127.0.0.1:0", "--data", os.path.join(p.home, "other"), "--socket",
                 os.path.join(p.data, "control.sock"), code=1).stderr
    assert "another gateway answers at " in said, said
    assert p.status()["pid"] == first.pid


def after_kill_9_the_next_start_works(p):
    first = p.serve()
    first.kill()
    first.communicate()
    p.run("run", "--", "true")
    assert p.status()["pid"] != first.pid


def the_environment_names_the_socket(p):
    p.serve("--socket", os.path.join(p.home, "elsewhere.sock"))
    p.run("status", code=3)
    p.run("status", POINTSMAN_SOCKET=os.path.join(p.home, "elsewhere.sock"))
    p.run("status", "--socket", os.path.join(p.home, "elsewhere.sock"))
    p.run("down", "--socket", os.path.join(p.home, "elsewhere.sock"))


def what_run_prints_makes_no_key(p):
    p.serve()
    shown = p.run("run", "--print", "--budget", "5", "--", "codex", "-m", "x").stdout
    assert p.url in shown and "sk-pm-…" in shown and "supports_websockets=false" in shown, shown
    assert shlex.split(shown.splitlines()[-1])[:3] == ["codex", "-c", 'model_provider="pointsman"'], shown
    assert not p.run("key", "list", "--json").stdout and "run" not in p.run("audit").stdout
    assert "no amount" in p.run("run", "--print", "--budget", "", "--", "codex", code=2).stderr


def the_version_is_told_to_whoever_asks(p):
    assert p.run("--version").stdout == p.run("version").stdout != ""


# ---- a terminal comes and goes ----

def it_outlives_the_login_and_its_runtime_folder(p):
    runtime = tempfile.mkdtemp(prefix="pm-runtime-")
    os.chmod(runtime, 0o777)
    console = Console(p, XDG_RUNTIME_DIR=runtime)
    console.shows("No request yet")
    pid = wait_for(lambda: p.run("status", "--json", code=None).stdout and p.status()["pid"])
    console.hang_up()
    shutil.rmtree(runtime)
    time.sleep(0.3)
    assert p.status()["pid"] == pid
    assert p.post({"model": "x", "messages": []}).status in (404, 503)


def leaving_the_console_says_what_goes_on(p):
    console = Console(p)
    console.shows("No request yet")
    time.sleep(0.3)
    console.type(b"Q")
    assert console.ends() == 0
    said = console.text.decode("utf-8", "replace")
    wanted = rf"gateway still running \(pid {p.status()['pid']}, {p.url}, 0 live\); end it: pointsman down"
    assert re.search(wanted, said), said[-300:]


def hand_over(p, key, *words):
    console = Console(p, "attach", GROQ_API_KEY=key)
    console.shows("this terminal has GROQ_API_KEY: P hands it to the gateway")
    console.type(b"P")
    console.shows("Hand a provider key over")
    console.type(b"\r")
    for said in words:
        console.shows(said)
    console.type(b"Q")
    console.ends()
    for path in glob.glob(p.data + "/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                assert key.encode() not in f.read(), f"the key stands in {path}"
    assert key.encode() not in console.text


def a_key_of_the_consoles_environment_is_handed_over(p):
    p.serve(*p.without_file())
    assert "groq" not in p.run("provider", "list").stdout
    hand_over(p, "gsk_of_this_terminal_0123456789abcd", "handed over")
    assert "groq" in p.run("provider", "list").stdout


def a_key_that_no_provider_of_the_file_takes_is_said_to_lie_idle(p):
    p.serve()
    hand_over(p, "gsk_of_this_terminal_0123456789abcd", "no groq in the file: add it with api_key: env:GROQ_API_KEY")
    with open(p.file, "a", encoding="utf-8") as f:
        f.write("providers:\n  groq: { dialect: openai, base_url: \"https://api.groq.com/openai/v1\", api_key: env:GROQ_API_KEY, models: [m] }\n")
    p.run("config", "apply")
    assert "groq" in p.run("provider", "list").stdout


def a_newer_console_says_so_and_offers_restart(p):
    version = p.run("version").stdout.split()[1].encode()
    p.serve()
    with open(p.binary, "rb") as f:
        newer = f.read().replace(version + b"\0", version[:-1] + b"9\0")
    os.unlink(p.binary)
    with open(p.binary, "wb") as f:
        f.write(newer)
    os.chmod(p.binary, 0o755)
    console = Console(p, "attach")
    console.shows(f"gateway {version.decode()}, console {version.decode()[:-1]}9: :restart drains it and starts the new one")
    console.type(b"Q")
    console.ends()


def without_a_term_the_console_opens_all_the_same(p):
    console = Console(p, term=None)
    console.shows("No request yet")
    console.type(b"Q")
    assert console.ends() == 0


def after_su_the_terminal_of_the_first_user_serves(p):
    console = Console(p, own=False)
    console.shows("No request yet")
    console.type(b"Q")
    assert console.ends() == 0


def without_a_terminal_it_says_which_verbs_to_use(p):
    said = p.run(code=2).stderr
    assert "needs a terminal" in said and "status" in said, said


def a_home_that_cannot_be_written_names_the_folder_and_the_option(p):
    for home in ("/proc/none", "/"):
        if home == "/" and os.access("/", os.W_OK) and not AS_ROOT:
            continue
        console = Console(p, HOME=home, POINTSMAN_CONFIG="/dev/null")
        assert console.ends() == 1
        said = console.text.decode()
        assert home in said and "--data" in said, said


# ---- providers from the environment ----

def without_a_provider_key_serve_answers_503_and_says_which_to_set(p):
    p.serve()
    answer = p.post({"model": "gpt-5", "messages": []})
    text = answer.read().decode()
    assert answer.status == 503 and "no provider" in text and "OPENAI_API_KEY" in text, text


def the_console_without_a_provider_key_brings_the_demo(p):
    console = Console(p)
    console.shows("No request yet")
    console.type(b"Q")
    console.ends()
    answer = p.post({"model": "demo/atlas", "messages": [{"role": "user", "content": "hi"}]})
    body = json.loads(answer.read())
    assert answer.status == 200 and answer.getheader("x-pointsman-demo") == "1", (answer.status, body)
    answer = p.post({"model": "gpt-5", "messages": []})
    text = answer.read().decode()
    assert answer.status == 404 and "OPENAI_API_KEY" in text, (answer.status, text)


def demo_folders(p):
    return [name for name in os.listdir(p.home) if name.startswith("pointsman-demo-")]


def the_demo_opens_its_console_and_leaves_nothing(p):
    for leave in (lambda c: (c.type(b"Q"), c.ends()), lambda c: c.hang_up()):
        console = Console(p, "demo", "--listen", f"127.0.0.1:{p.port}", TMPDIR=p.home)
        console.shows("live", 20)
        assert demo_folders(p), "its folders should be there while it runs"
        leave(console)
        wait_for(lambda: not demo_folders(p), 10, f"left behind: {demo_folders(p)}")


def our_own_address_exported_is_no_provider(p):
    child = p.serve(*p.without_file(), OPENAI_API_KEY="sk-live-abcdefghijklmnop", OPENAI_BASE_URL=p.url + "/v1")
    shown = json.loads(p.run("provider", "list", "--json").stdout.splitlines()[0])
    assert "127.0.0.1" not in shown["base_url"], shown
    p.run("down")
    assert "OPENAI_BASE_URL: points at this gateway" in child.communicate()[1]


def one_of_our_own_keys_is_no_provider_key(p):
    child = p.serve(*p.without_file(), OPENAI_API_KEY="sk-pm-0123456789abcdefghijklmn")
    assert p.post({"model": "gpt-5", "messages": []}).status == 503
    p.run("down")
    said = child.communicate()[1]
    assert "OPENAI_API_KEY: holds a key of a pointsman gateway" in said, said
    assert "0123456789abcdef" not in said


# ---- ending ----

STREAMING = "providers:\n  a: {{ dialect: openai, base_url: 'http://127.0.0.1:{0}/v1', models: [m] }}\n"


def begin_stream(p):
    answer = p.post({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    assert answer.status == 200, answer.read()
    answer.readline()
    return answer


def down_lets_streams_end_first(p):
    child = p.serve()
    answer = begin_stream(p)
    down = p.start("down")
    rest = answer.read()
    out, _ = down.communicate(timeout=30)
    assert b"w19" in rest and b"[DONE]" in rest, rest[-200:]
    assert down.returncode == 0 and "has ended" in out and "1 requests are still running" in out, out
    assert child.wait(10) == 0
    p.run("down", code=3)


def restart_keeps_pid_and_socket_lets_streams_end_and_takes_the_new_binary(p):
    child = p.serve()
    answer = begin_stream(p)
    # as an install does: a new file in the old one's place
    real = p.binary + ".real"
    os.rename(p.binary, real)
    script = p.binary + ".new"
    with open(script, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\ntouch "{p.data}/new"\nexec "{real}" "$@"\n')
    os.chmod(script, 0o755)
    os.rename(script, p.binary)
    restart = p.start("restart")
    rest = answer.read()
    out, err = restart.communicate(timeout=30)
    assert b"[DONE]" in rest, rest[-200:]
    assert restart.returncode == 0 and f"pid {child.pid}" in out, out + err
    assert p.status()["pid"] == child.pid
    assert os.path.exists(os.path.join(p.data, "new"))
    assert p.post({"model": "nothing", "messages": []}).status == 404
    assert len(p.run("ps", "--json").stdout.splitlines()) >= 1


def a_second_sigterm_stops_now(p):
    child = p.serve()
    begin_stream(p)
    child.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    started = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0 and time.monotonic() - started < 0.7


def status_line_is_one_short_line(p):
    p.serve()
    line = p.run("status", "--line").stdout
    assert line.count("\n") == 1 and len(line) < 60 and "live" in line and "$0.00" in line, line


# ---- users ----

def root_without_a_data_folder_is_refused_unless_it_serves(p):
    said = p.run("run", "--", "true", code=1).stderr
    assert "as root" in said and "--data" in said and "pointsman serve" in said, said
    p.serve()
    p.run("down")
    p.run("--data", p.data, "run", "--", "true")


def a_closed_gateway_says_which_group_to_join_and_that_a_new_login_is_needed(p):
    sock = os.path.join(p.home, "service.sock")
    p.serve("--socket", sock)
    p.become = drop
    said = p.run("status", "--socket", sock, code=1).stderr
    p.become = lambda: None
    assert "group games" in said and "usermod -aG games" in said and "log in anew" in said, said
    p.run("down", "--socket", sock)


def a_gateway_without_a_group_says_whose_it_is(p):
    sock = os.path.join(p.home, "service.sock")
    p.serve("--socket", sock)
    p.become = drop
    said = p.run("status", "--socket", sock, code=1).stderr
    p.become = lambda: None
    assert "open to root alone" in said and "access.group" in said, said
    p.run("down", "--socket", sock)


def alone(story, config, user):
    if not user and not AS_ROOT:
        raise tap.Skip("needs root")
    p = Place(config, user)
    try:
        story(p)
    finally:
        p.remove()


def main():
    slow = Slow()
    plain = [none_answers_is_exit_3_and_says_what_to_type, a_gateway_started_by_a_verb_is_a_session_of_its_own,
             a_fault_in_the_file_is_the_reason_that_is_shown, six_starts_at_once_make_one_gateway_that_all_use,
             a_port_held_by_a_stranger_is_named_and_no_other_is_taken, the_port_of_another_gateway_is_named_too,
             a_second_gateway_on_the_data_folder_refuses_with_the_first_ones_pid,
             a_second_gateway_does_not_take_the_first_ones_socket, after_kill_9_the_next_start_works,
             the_environment_names_the_socket, it_outlives_the_login_and_its_runtime_folder,
             leaving_the_console_says_what_goes_on, a_key_of_the_consoles_environment_is_handed_over, a_key_that_no_provider_of_the_file_takes_is_said_to_lie_idle,
             a_newer_console_says_so_and_offers_restart, without_a_term_the_console_opens_all_the_same,
             after_su_the_terminal_of_the_first_user_serves,
             without_a_terminal_it_says_which_verbs_to_use,
             a_home_that_cannot_be_written_names_the_folder_and_the_option,
             without_a_provider_key_serve_answers_503_and_says_which_to_set,
             the_console_without_a_provider_key_brings_the_demo, the_demo_opens_its_console_and_leaves_nothing, our_own_address_exported_is_no_provider,
             one_of_our_own_keys_is_no_provider_key, status_line_is_one_short_line, what_run_prints_makes_no_key,
             the_version_is_told_to_whoever_asks]
    streaming = [down_lets_streams_end_first, restart_keeps_pid_and_socket_lets_streams_end_and_takes_the_new_binary,
                 a_second_sigterm_stops_now]
    rooted = [(root_without_a_data_folder_is_refused_unless_it_serves, "data: {0}\n"),
              (a_closed_gateway_says_which_group_to_join_and_that_a_new_login_is_needed, "access: {{ group: games }}\n"),
              (a_gateway_without_a_group_says_whose_it_is, "")]
    stories = [(s, None, True) for s in plain] + [(s, STREAMING.format(slow.port), True) for s in streaming]
    stories += [(s, None if "{0}" in c else c.format(), False) for s, c in rooted]
    if sys.argv[1:]:
        stories = [s for s in stories if any(part in s[0].__name__ for part in sys.argv[1:])]
    return tap.run([tap.test(alone, story, config, user, name=tap.named(story)) for story, config, user in stories])


if __name__ == "__main__":
    sys.exit(main())
