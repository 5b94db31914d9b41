"""The two ends of a story over real sockets: a scripted provider and a client that looks at bytes.

A provider plays one block of steps per request, in order; what it checks about the request and what
goes wrong is kept in `faults`. A client sends bytes and takes the answer apart itself, since a library
would hide exactly what the stories are about: framing, cuts, times."""
import gzip
import json
import os
import re
import socket
import struct
import threading
import time

LIMIT = 15.0  # seconds that anything may take

# A chat answer with its usage, as a stream and whole.
EVENTS = b"".join(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word %d "}}]}\n\n' % i for i in range(6)) \
    + b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}}\n\ndata: [DONE]\n\n'
WHOLE = b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",' \
    b'"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'


class Fault(Exception):
    """A wish of the story that did not come true."""


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target = (lines[0].split(" ") + ["", ""])[:2]
        self.headers = [(n.strip().lower(), v.strip()) for n, _, v in
                        (line.partition(":") for line in lines[1:] if line)]
        self.body = body
        self.raw = head + b"\r\n\r\n" + body

    def header(self, name):
        return next((v for n, v in self.headers if n == name.lower()), None)


def read_request(sock, held):
    """One request with Content-Length or chunks, or None when the peer left."""
    data = held
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None, b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length:[ ]*(\d+)", head, re.I)
    if re.search(rb"\r\ntransfer-encoding:[ ]*chunked", head, re.I):
        raise Fault("the gateway sent a chunked request")
    want = int(length.group(1)) if length else 0
    while len(rest) < want:
        piece = sock.recv(262144)
        if not piece:
            return None, b""
        rest += piece
    return Request(head, rest[:want]), rest[want:]


class Provider:
    """Listens on loopback; `blocks` is a list of functions (provider, link, request)."""

    def __init__(self, name, dialect="openai"):
        self.name, self.dialect = name, dialect
        self.key = f"sk-real-{name}-5e3f1c9a7b2d4680"
        self.blocks, self.repeat, self.tells_models = [], False, False
        self.faults, self.requests, self.sent = [], [], []
        self.connections = 0
        self.left = []  # seconds from the end of a block to the peer's leaving
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}" + ("" if self.dialect in ("anthropic", "gemini") else "/v1")

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(sock)
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        held = b""
        try:
            while not link.closed:
                request, held = read_request(link.sock, held)
                if request is None:
                    break
                if request.method == "GET" and request.target.endswith("/models") and not self.tells_models:
                    link.answer(200, "application/json", b'{"object":"list","data":[]}')  # asked at start
                    continue
                with self.lock:
                    self.requests.append(request)
                    number = len(self.requests) - 1
                    sent = bytearray()
                    self.sent.append(sent)
                    link.sent = sent
                if number < len(self.blocks) or (self.repeat and self.blocks):
                    self.blocks[min(number, len(self.blocks) - 1)](self, link, request)
                else:
                    self.faults.append(f"provider {self.name}: request {number + 1} is one too many: "
                                       f"{request.method} {request.target}")
                    link.answer(500, "text/plain", b"no more steps in the story")
        except Fault as fault:
            self.faults.append(f"provider {self.name}: {fault}")
        except OSError as error:
            if not link.closed and not link.may_break:
                self.faults.append(f"provider {self.name}: {error}")
        link.close()

    def stop(self):
        self.listener.close()
        for link in self.links:
            link.close()


class Link:
    """One connection of the gateway to a provider."""

    def __init__(self, sock):
        self.sock, self.closed, self.may_break, self.sent = sock, False, False, bytearray()

    def send(self, data):
        self.sent += data
        self.sock.sendall(data)

    def slowly(self, data, size, pause):
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
            time.sleep(pause)

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, status, kind, body, headers=()):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self.send((head + "".join(f"{h}\r\n" for h in headers) + "\r\n").encode() + body)

    def stream_head(self):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")

    def wait_left(self, seconds):
        """Seconds until the gateway closed this connection."""
        started = time.monotonic()
        self.may_break = True
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
        except socket.timeout:
            raise Fault(f"the gateway did not leave within {seconds} s") from None
        except OSError:
            pass
        return time.monotonic() - started

    def close(self):
        if not self.closed:
            self.closed = True
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()

    def reset(self):
        self.closed = True
        reset(self.sock)


class Answer:
    """What a client got: `complete` is true only when the framing came to its end."""

    def __init__(self):
        self.status, self.headers, self.body, self.raw = 0, [], b"", b""
        self.complete = self.was_reset = self.closed = False
        self.first_s = self.total_s = 0.0
        self.times = []  # (seconds since the request, body bytes so far)

    def header(self, name):
        values = [v for n, v in self.headers if n == name.lower()]
        return ", ".join(values) if values else None

    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Fault(f"the body is no JSON: {self.body[:300]!r}") from None

    def events(self):
        """(name, data) of each server-sent event with data."""
        found = []
        for block in re.split(r"\n\n", self.text().replace("\r\n", "\n").replace("\r", "\n")):
            name, data = "", []
            for line in block.split("\n"):
                field, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if field == "data":
                    data.append(value)
                elif field == "event":
                    name = value
            if data:
                found.append((name, "\n".join(data)))
        return found


class Client:
    def __init__(self, port, name=""):
        self.name = name
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(LIMIT)
        self.held, self.started, self.method = b"", time.monotonic(), "GET"

    def send(self, data):
        self.started = time.monotonic()
        self.method = data.split(b" ", 1)[0].decode("latin-1")
        self.sock.sendall(data)

    def _more(self, answer):
        try:
            piece = self.sock.recv(262144)
        except ConnectionResetError:
            answer.was_reset = answer.closed = True
            return False
        except socket.timeout:
            raise Fault(f"the answer took longer than {self.sock.gettimeout()} s; so far {self.held[:300]!r}") from None
        if not piece:
            answer.closed = True
            return False
        answer.raw += piece
        self.held += piece
        return True

    def _note(self, answer):
        answer.times.append((time.monotonic() - self.started, len(answer.body)))

    def read(self, until=None):
        """An answer; with `until`, returns as soon as that many events came."""
        answer = Answer()
        while True:
            while b"\r\n\r\n" not in self.held:
                if not self._more(answer):
                    return answer
            answer.first_s = answer.first_s or time.monotonic() - self.started
            head, _, self.held = self.held.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            answer.status = int(lines[0].split(" ")[1])
            answer.headers = [(n.strip().lower(), v.strip()) for n, _, v in
                              (line.partition(":") for line in lines[1:])]
            if answer.status >= 200:
                break
        self._read_body(answer, until)
        answer.total_s = time.monotonic() - self.started
        return answer

    def _read_body(self, answer, until):
        length, coding = answer.header("content-length"), answer.header("transfer-encoding")
        if self.method == "HEAD" or answer.status in (204, 304):
            answer.complete = True
        elif coding and coding.lower() == "chunked":
            self._read_chunks(answer, until)
        elif length is not None:
            while len(self.held) < int(length) and self._more(answer):
                pass
            answer.body, self.held = self.held[:int(length)], self.held[int(length):]
            answer.complete = len(answer.body) == int(length)
            self._note(answer)
        else:
            while self._more(answer):
                pass
            answer.body, self.held = self.held, b""
            answer.complete = not answer.was_reset
            self._note(answer)

    def _read_chunks(self, answer, until):
        while True:
            while b"\r\n" not in self.held:
                if not self._more(answer):
                    return
            line, _, self.held = self.held.partition(b"\r\n")
            if not re.fullmatch(rb"[0-9a-fA-F]+(;.*)?", line):
                raise Fault(f"the gateway sent a bad chunk size: {line[:80]!r}")
            size = int(line.split(b";")[0], 16)
            while len(self.held) < size + 2:
                if not self._more(answer):
                    answer.body += self.held[:size]
                    return
            answer.body, self.held = answer.body + self.held[:size], self.held[size + 2:]
            self._note(answer)
            if size == 0:
                answer.complete = True
                return
            if until and len(answer.events()) >= until:
                return

    def closed(self):
        """Did the gateway close this connection (within a moment)?"""
        self.sock.settimeout(3)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except OSError:
            return False

    def hang_up(self, how="close"):
        if how == "reset":
            reset(self.sock)
        elif how == "half":
            self.sock.shutdown(socket.SHUT_WR)
        else:
            self.sock.close()


def post(path, body, headers=(), host="127.0.0.1"):
    """The bytes of a POST."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}"]
    if not any(h.lower().startswith("content-type:") for h in headers):
        lines.append("Content-Type: application/json")
    lines += [*headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def gzipped(data):
    return gzip.compress(data, mtime=0)


def data(path):
    """Where this part of the test data lies: in the repository, and in the larger collection where it is."""
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
    found = [os.path.join(root, path) for root in (own, os.environ.get("POINTSMAN_SHARED", "")) if root]
    return [full for full in found if os.path.exists(full)]
