#!/usr/bin/env python3
"""Who starts what, finds it and ends it: each sentence of it a story. Prints TAP. Needs the built binary
($POINTSMAN_BIN); stories with a second unix user need root."""
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("POINTSMAN_BIN") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build", "pointsman")


class Home:
    """A user's home with a configuration of its own; ends what was started in it."""

    def __init__(self, listen="127.0.0.1:0", config=True):
        self.path = tempfile.mkdtemp(prefix="pm-launch-")
        self.data = os.path.join(self.path, "data")
        self.config = os.path.join(self.path, "c.yaml")
        self.has_config = config
        with open(self.config, "w") as f:
            f.write(f"listen: {listen}\nproviders:\n  one: {{ dialect: openai, base_url: 'http://127.0.0.1:9/v1', "
                    "models: [m1] }\n")

    def words(self, *words):
        child = [] if "--" not in words else list(words[words.index("--"):])
        words = words if not child else words[:words.index("--")]
        return [BIN, *words, "--data", self.data, *(["--config", self.config] if self.has_config else [])] + child

    def env(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("POINTSMAN_")
                and k != "XDG_RUNTIME_DIR"}
        return {**kept, "HOME": self.path, "NO_COLOR": "1", **more}

    def run(self, *words, code=0, **more):
        done = subprocess.run(self.words(*words), capture_output=True, text=True, env=self.env(**more), timeout=60)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}{self.log()}")
        return done

    def start(self, *words, **more):
        return subprocess.Popen(self.words(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env(**more))

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def log(self):
        try:
            with open(os.path.join(self.data, "gateway.log")) as f:
                return f.read()
        except OSError:
            return ""

    def close(self):
        subprocess.run(self.words("down", "--now"), capture_output=True, env=self.env(), timeout=60)
        shutil.rmtree(self.path, ignore_errors=True)


def a_verb_without_a_gateway_ends_with_3_and_says_where_it_looked(h):
    done = h.run("status", code=3)
    assert h.data in done.stderr and "pointsman serve" in done.stderr, done.stderr


def run_starts_one_that_outlives_it(h):
    h.run("run", "--", "true")
    status = h.status()
    assert os.getsid(status["pid"]) == status["pid"], "a session of its own"
    assert "listening http://" in h.log()
    assert h.run("down", "--json").returncode == 0
    h.run("status", code=3)


def two_that_start_at_once_share_one(h):
    both = [h.start("run", "--", "true") for _ in range(4)]
    for child in both:
        out, err = child.communicate(timeout=30)
        assert child.returncode == 0, err + h.log()
    pid = h.status()["pid"]
    found = subprocess.run(["pgrep", "-f", f"serve.*{h.data}"], capture_output=True, text=True).stdout.split()
    assert found == [str(pid)], (found, pid)


def a_second_serve_on_the_same_folder_is_refused(h):
    h.run("run", "--", "true")
    done = h.run("serve", code=1)
    assert str(h.status()["pid"]) in done.stderr, done.stderr


def after_kill_9_the_next_start_takes_over(h):
    h.run("run", "--", "true")
    old = h.status()["pid"]
    os.kill(old, signal.SIGKILL)
    time.sleep(0.1)
    assert os.path.exists(os.path.join(h.data, "control.sock")), "the socket was left behind"
    h.run("run", "--", "true")
    assert h.status()["pid"] != old


def a_port_held_by_a_stranger_is_named(h):
    stranger = socket.socket()
    stranger.bind(("127.0.0.1", 0))
    stranger.listen()
    port = stranger.getsockname()[1]
    other = Home(f"127.0.0.1:{port}")
    try:
        done = other.run("run", "--", "true", code=1)
        assert str(port) in done.stderr and str(os.getpid()) in done.stderr, done.stderr
        other.run("status", code=3)
    finally:
        other.close()
        stranger.close()


def a_faulty_file_is_the_reason_that_is_shown(h):
    with open(h.config, "w") as f:
        f.write("listen: 127.0.0.1:0\nrouts: {}\n")
    done = h.run("run", "--", "true", code=1)
    assert "routs" in done.stderr and "routes" in done.stderr, done.stderr


def root_needs_a_folder_of_its_own_choice(h):
    done = subprocess.run([BIN, "run", "--", "true"], capture_output=True, text=True, env=h.env(), timeout=30)
    assert done.returncode == 1 and "--data" in done.stderr, done.stderr


def a_home_that_can_t_be_written_is_named(h):
    place = os.path.join(h.path, "file")
    open(place, "w").close()
    done = subprocess.run([BIN, "run", "--data", place + "/data", "--", "true"], capture_output=True, text=True,
                          env=h.env(), timeout=30)
    assert done.returncode == 1 and place in done.stderr and "--data" in done.stderr, done.stderr


def the_socket_variable_leads_to_a_gateway_elsewhere(h):
    h.run("run", "--", "true")
    path = os.path.join(h.data, "control.sock")
    done = subprocess.run([BIN, "status", "--json"], capture_output=True, text=True,
                          env=h.env(POINTSMAN_SOCKET=path), timeout=30)
    assert done.returncode == 0 and json.loads(done.stdout)["socket"] == path, done


def without_a_terminal_the_console_says_what_to_type(h):
    done = subprocess.run(h.words(), capture_output=True, text=True, env=h.env(), timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "serve" in done.stderr, done


def without_a_provider_serve_answers_503_with_the_reason(h):
    plain = Home(config=False)
    try:
        child = plain.start("serve", "--listen", "127.0.0.1:0")
        url = child.stdout.readline().split()[1]
        done = subprocess.run(["curl", "-s", "-w", "%{http_code}", url + "/v1/chat/completions", "-d",
                               '{"model":"gpt-5","messages":[]}'], capture_output=True, text=True)
        assert done.stdout.endswith("503") and "no provider" in done.stdout, done.stdout
        child.send_signal(signal.SIGTERM)
        child.wait(20)
    finally:
        plain.close()


def the_console_without_a_provider_starts_with_the_demo(h):
    plain = Home()
    with open(plain.config, "w") as f:
        f.write("listen: 127.0.0.1:0\n")
    try:
        pid, terminal = pty.fork()
        if pid == 0:
            words = plain.words()
            os.execve(words[0], words, plain.env(TERM="xterm-256color", POINTSMAN_CONFIG="", COLUMNS="80", LINES="24"))
        seen, end = b"", time.time() + 20
        while b"demo" not in seen and time.time() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    break
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(terminal)
        assert b"demo" in seen, seen[-400:]
        assert plain.status()["demo"] or any("demo" in p for p in plain.status()["providers"]), plain.status()
    finally:
        plain.close()


def our_own_url_as_a_provider_s_is_no_circle(h):
    plain = Home(config=False)
    try:
        child = plain.start("serve", "--listen", "127.0.0.1:0", OPENAI_API_KEY="sk-pm-" + "a" * 49)
        child.stdout.readline()
        assert plain.status()["providers"] == [], plain.status()["providers"]
        child.send_signal(signal.SIGTERM)
        child.wait(20)
    finally:
        plain.close()


def sigterm_ends_cleanly_and_takes_the_socket_away(h):
    child = h.start("serve")
    child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 0, child.stderr.read()
    h.run("status", code=3)


def main():
    stories = [a_verb_without_a_gateway_ends_with_3_and_says_where_it_looked, run_starts_one_that_outlives_it,
               two_that_start_at_once_share_one, a_second_serve_on_the_same_folder_is_refused,
               after_kill_9_the_next_start_takes_over, a_port_held_by_a_stranger_is_named,
               a_faulty_file_is_the_reason_that_is_shown, a_home_that_can_t_be_written_is_named,
               the_socket_variable_leads_to_a_gateway_elsewhere, without_a_terminal_the_console_says_what_to_type,
               without_a_provider_serve_answers_503_with_the_reason, the_console_without_a_provider_starts_with_the_demo,
               our_own_url_as_a_provider_s_is_no_circle, sigterm_ends_cleanly_and_takes_the_socket_away]
    if os.getuid() == 0:
        stories.append(root_needs_a_folder_of_its_own_choice)
    failed = 0
    for n, story in enumerate(stories, 1):
        name = story.__name__.replace("_", " ")
        home = Home()
        try:
            story(home)
            print(f"ok {n} - {name}", flush=True)
        except Exception as error:  # a story that breaks is a story that failed
            failed += 1
            text = f"{type(error).__name__}: {error}".replace("\n", "\n# ")[:1200]
            print(f"not ok {n} - {name}\n# {text}", flush=True)
        finally:
            home.close()
    print(f"1..{len(stories)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
