"""What benches and soaks share: peers that are started on loopback, watched through /proc and ended
by their pids. The gateway and nginx run on one core, provider and client on the other, so that what a
proxy costs is not what its neighbours cost; where there is one core only, all share it."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, PEER_CORE = CORES[-1], CORES[0]
KEY = "bench-key-0123456789abcdef"
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
TICK = os.sysconf("SC_CLK_TCK")


def on_core(core):
    """For preexec_fn; None leaves all cores."""
    return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
            for child in f.read().split():
                found += tree(int(child))
    return found


class Peer:
    """A process that is started, measured and ended."""

    def __init__(self, command, core=None, env=None, cwd=None, log=None):
        self.started = time.monotonic()
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, env=env, cwd=cwd, preexec_fn=on_core(core))
        self.pid = self.process.pid

    def line(self):
        return self.process.stdout.readline().decode("utf-8", "replace").strip()

    def cpu_s(self):
        """Processor time of the whole tree so far."""
        total = 0
        for pid in tree(self.pid):
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def memory_kib(self, field="VmRSS"):
        total = 0
        for pid in tree(self.pid):
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                found = re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M)
            total += int(found.group(1)) if found else 0
        return total

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def end(self, number=signal.SIGTERM, seconds=20):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        if self.log != subprocess.DEVNULL:
            self.log.close()
        return self.process.returncode


class Rig:
    """A folder and the peers in it; `with Rig(build) as rig` ends and removes all of them."""

    def __init__(self, build):
        self.build = os.path.join(ROOT, build)
        self.binary = os.path.join(self.build, "pointsman")
        self.peers = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pointsman-bench-")
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.folder,
                    "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "BENCH_KEY": KEY}
        return self

    def __exit__(self, *_):
        for peer in reversed(self.peers):
            peer.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, peer):
        self.peers.append(peer)
        return peer

    def mock(self, core=PEER_CORE):
        peer = self.keep(Peer([os.path.join(self.build, "tests/mock/mock")], core))
        peer.port = peer.stream_port = int(peer.line().rsplit(":", 1)[1])
        peer.headers = []
        return peer

    def certificate(self):
        """Of 127.0.0.1, signed by itself; what it is in goes with the rig."""
        pem = os.path.join(self.folder, "server.pem")
        if not os.path.exists(pem):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem + ".key", "-out", pem],
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return pem

    def nginx(self, upstream, core=PROXY_CORE, tls=False):
        """A plain reverse proxy: .port buffers as it comes, .stream_port has buffering off (and TLS)."""
        folder = tempfile.mkdtemp(prefix="nginx-", dir=self.folder)
        port, stream_port = free_port(), free_port()
        pem = self.certificate() if tls else ""
        secure = f"ssl_certificate {pem}; ssl_certificate_key {pem}.key;" if tls else ""
        forward = (f"proxy_pass http://provider; proxy_http_version 1.1; "
                   f"proxy_set_header Connection \"\";")
        with open(os.path.join(folder, "nginx.conf"), "w", encoding="ascii") as f:
            f.write(f"""{'user root;' if os.geteuid() == 0 else ''}
worker_processes 1;
worker_rlimit_nofile {min(20000, FILES)};
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_requests 100000000; tcp_nodelay on;
    upstream provider {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {forward} }} }}
    server {{ listen 127.0.0.1:{stream_port} {"ssl " if tls else ""}backlog=4096; {secure}
        location / {{ {forward} proxy_buffering off; proxy_read_timeout 600s; }} }}
}}
""")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        peer = self.keep(Peer([program, "-p", folder, "-c", os.path.join(folder, "nginx.conf"),
                               "-g", "daemon off;"], core, log=os.path.join(folder, "log")))
        peer.port, peer.stream_port, peer.headers = port, stream_port, []
        wait_port(port)
        return peer

    def gateway(self, name, upstream, top="", keys=True, core=PROXY_CORE, tls=False, names=("lab",), routes=""):
        """`top` is more configuration, `routes` more of its routes; .headers are what a client of it sends."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        config = os.path.join(folder, "pointsman.yaml")
        governed = "keys:\n  bench: { secret: env:BENCH_KEY, team: bench, models: [plain, 'stream-*'], " \
            "budget: { total: 1000000usd }, rpm: 100000000, tpm: 2000000000, concurrent: 20000 }\n" \
            "prices:\n  lab/plain: { input: 1, output: 2 }\n"
        with open(config, "w", encoding="ascii") as f:
            f.write("providers:\n" + "".join(f"  {n}: {{ dialect: openai, base_url: "
                    f"'{'https' if tls else 'http'}://127.0.0.1:{upstream}/v1', api_key: env:BENCH_KEY, models: [plain]"
                    + (f", ca_file: {self.certificate()}" if tls else "") + " }\n" for n in names) +
                    f"routes:\n  'stream-*': {{ targets: ['{names[0]}/$model'] }}\n" + routes + top
                    + (governed if keys else "open_to: any\n"))
        if "workers:" not in top:
            with open(config, "a", encoding="ascii") as f:
                f.write("workers: 1\n")
        peer = self.keep(Peer([self.binary, "serve", "--config", config, "--data",
                               os.path.join(folder, "data"), "--listen", "127.0.0.1:0"], core, self.env,
                              folder, os.path.join(folder, "log")))
        found = re.search(r":(\d+)$", peer.line())
        if not found:
            with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as f:
                raise SystemExit(f"the gateway {name} did not start: {f.read()}")
        peer.port = peer.stream_port = int(found.group(1))
        peer.headers = [f"Authorization: Bearer {KEY}"] if keys else []
        peer.data = os.path.join(folder, "data")
        peer.config = config
        return peer

    def cli(self, gateway, *words, seconds=60):
        return subprocess.run([self.binary, "--data", gateway.data, *words], env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=seconds, check=False)

    def load(self, mode, port, body, *numbers, headers=(), path="/v1/chat/completions", core=PEER_CORE):
        done = subprocess.run(self.load_command(mode, port, body, *numbers, headers=headers, path=path),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=900, preexec_fn=on_core(core), check=False)
        if done.returncode != 0:
            raise SystemExit(f"load {mode} failed: {done.stderr.decode()}")
        got = json.loads(done.stdout)
        if got.get("bad"):
            raise SystemExit(f"load {mode}: {got['bad']} answers were not as they should be")
        return got

    def load_command(self, mode, port, body, *numbers, headers=(), path="/v1/chat/completions"):
        return [os.path.join(self.build, "tests/bench/load"), mode, f"127.0.0.1:{port}", path, body,
                *[str(n) for n in numbers], *headers]


class Busy:
    """How busy each core is from here on, whoever it works for."""

    def __init__(self):
        self.before = self.look()

    @staticmethod
    def look():
        with open("/proc/stat", encoding="ascii") as f:
            rows = [line.split() for line in f if re.match(r"cpu\d", line)]
        return {int(row[0][3:]): [int(n) for n in row[1:9]] for row in rows}

    def text(self):
        """"core 0 62 %, core 1 91 %"."""
        shares = []
        for core, now in self.look().items():
            spent = [b - a for a, b in zip(self.before.get(core, now), now)]
            if core in CORES and sum(spent):
                shares.append(f"core {core} {1 - (spent[3] + spent[4]) / sum(spent):.0%}")
        return ", ".join(shares)


def wait_port(port, seconds=5):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"nobody listens on port {port}")


def ask(port, request, seconds=10):
    """One raw request on a connection of its own; the bytes of the answer until it ends or is whole."""
    with socket.create_connection(("127.0.0.1", port), seconds) as s:
        s.sendall(request)
        got = b""
        while True:
            piece = s.recv(65536)
            got += piece
            head, gap, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if not piece or (gap and length and len(body) >= int(length.group(1))):
                return got


def metric(gateway, name):
    """One figure of /metrics; -1: it is not there."""
    found = re.search(rf"^pointsman_{name} (\d+)".encode(), ask(gateway.port, (
        "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "".join(h + "\r\n" for h in gateway.headers) +
        "Connection: close\r\n\r\n").encode()), re.M)
    return int(found.group(1)) if found else -1


def post(body, headers=(), path="/v1/chat/completions"):
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def chat(model, bytes_up=1024, stream=False):
    head = '{"model":"%s",%s"max_tokens":100,"messages":[{"role":"user","content":"' % (model, '"stream":true,' if stream else "")
    return head + "x" * max(1, bytes_up - len(head) - 4) + '"}]}'


def machine():
    name = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        found = re.search(r"model name\s*:\s*(.*)", f.read())
        name = found.group(1).strip() if found else name
    load = os.getloadavg()
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.read().split()[1]) / 1048576
    return (f"{len(CORES)} cores ({name}), {memory:.0f} GiB, Linux {os.uname().release}; "
            f"load average before {load[0]:.1f}")
