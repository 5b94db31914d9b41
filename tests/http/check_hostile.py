#!/usr/bin/env python3
"""Hostile requests, byte for byte, against a running gateway: framing in doubt, heads that a parser may read in two
ways, targets that climb, chunks that never come to a size. Of each: what is answered, whether the connection ends with
it, and how many requests reach the provider. At the end nothing spins. Prints TAP."""
import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Fault, Provider, WHOLE  # noqa: E402

BODY = b'{"model":"m","messages":[]}'
HOST = b"Host: 127.0.0.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"  # what a smuggler wants served


def post(head=b"", body=BODY, length=True, path=b"/v1/chat/completions", method=b"POST", version=b"HTTP/1.1", host=HOST):
    return b"%s %s %s\r\n%s%s%s\r\n%s" % (method, path, version, host, head,
                                          b"Content-Length: %d\r\n" % len(body) if length else b"", body)


def chunked(tail, head=CHUNKED):
    return post(head, tail, False)


def whole(size=b"1b", end=b"\r\n0\r\n\r\n"):
    return size + b"\r\n" + BODY + end


OK, BAD, CLOSED = (200,), (400,), ()  # CLOSED: ended without an answer
# name: (bytes, the statuses of all answers, requests that reach the provider)
CASES = {
    "a length and chunks": (post(CHUNKED) + NEXT, BAD, 0),
    "a length and chunks that end at once": (post(CHUNKED, b"0\r\n\r\n" + NEXT), BAD, 0),
    "two codings": (chunked(whole(), CHUNKED + b"Transfer-Encoding: identity\r\n"), BAD, 0),
    "an unknown coding": (chunked(whole(), b"Transfer-Encoding: xchunked\r\n"), (501,), 0),
    "chunked, then identity": (chunked(whole(), b"Transfer-Encoding: chunked, identity\r\n"), (501,), 0),
    "a coding in quotes": (chunked(whole(), b'Transfer-Encoding: "chunked"\r\n'), (501,), 0),
    "a coding with a parameter": (chunked(whole(), b"Transfer-Encoding: chunked;q=1\r\n"), (501,), 0),
    "a coding behind a vertical tab": (chunked(whole(), b"Transfer-Encoding: \x0bchunked\r\n"), BAD, 0),
    "a coding that ends in NUL": (chunked(whole(), b"Transfer-Encoding: chunked\x00\r\n"), BAD, 0),
    "a coding on a folded line": (chunked(whole(), b"Transfer-Encoding:\r\n chunked\r\n"), BAD, 0),
    "a coding whose name ends in a blank": (chunked(whole(), b"Transfer-Encoding : chunked\r\n"), BAD, 0),
    "a coding with an underscore": (chunked(whole(), b"Transfer_Encoding: chunked\r\n"), BAD, 0),
    "chunks of HTTP/1.0": (post(CHUNKED, whole(), False, version=b"HTTP/1.0"), BAD, 0),
    "two lengths": (post(b"Content-Length: 5\r\n"), BAD, 0),
    "the same length twice": (post(b"Content-Length: 27\r\n"), BAD, 0),
    "a list of lengths": (post(b"Content-Length: 27, 27\r\n", length=False), BAD, 0),
    "a length with a sign": (post(b"Content-Length: +27\r\n", length=False), BAD, 0),
    "a negative length": (post(b"Content-Length: -1\r\n", length=False), BAD, 0),
    "a hexadecimal length": (post(b"Content-Length: 0x1b\r\n", length=False), BAD, 0),
    "a length past 64 bits": (post(b"Content-Length: 18446744073709551643\r\n", length=False), (413,), 0),
    "a length in wide digits": (post("Content-Length: ２７\r\n".encode(), length=False), BAD, 0),
    "a length with leading zeros": (post(b"Content-Length: 000000027\r\n", length=False), OK, 1),
    "a length whose name ends in a tab": (post(b"Content-Length\t: 27\r\n", length=False), BAD, 0),
    "no host": (post(host=b""), BAD, 0),
    "two hosts": (post(b"Host: evil\r\n"), BAD, 0),
    "a host behind NUL": (post(host=b"Host: 127.0.0.1\x00.evil\r\n"), BAD, 0),
    "a host in a list": (post(host=b"Host: 127.0.0.1, evil\r\n"), BAD, 0),
    "a host with a user": (post(host=b"Host: a@127.0.0.1\r\n"), BAD, 0),
    "a host in decimal": (post(host=b"Host: 2130706433\r\n"), (403,), 0),
    "another port": (post(host=b"Host: 127.0.0.1:1\r\n"), (403,), 0),
    "a header without a name": (post(b": a\r\n"), BAD, 0),
    "a header of a colon alone": (post(b":\r\n"), BAD, 0),
    "a header without a name, then another request": (post(b": a\r\n", NEXT), BAD, 0),
    "a line without a colon": (post(b"Foo\r\n"), BAD, 0),
    "a folded line": (post(b"X: a\r\n b\r\n"), BAD, 0),
    "a folded line that is a header": (post(b"X: a\r\n Host: evil\r\n"), BAD, 0),
    "a fold at the begin": (b"POST /v1/chat/completions HTTP/1.1\r\n Host: evil\r\n" + HOST + b"Content-Length: 27\r\n\r\n" + BODY, BAD, 0),
    "NUL in a value": (post(b"X: a\x00b\r\n"), BAD, 0),
    "NUL at the end of the last value": (post(length=False, head=b"Content-Length: 27\r\nX: a\x00b\r\n"), BAD, 0),
    "NUL in a name": (post(b"X\x00Y: a\r\n"), BAD, 0),
    "NUL in the path": (post(path=b"/v1/chat/completions\x00/x"), BAD, 0),
    "a carriage return in a value": (post(b"X: a\rY: b\r\n"), BAD, 0),
    "two carriage returns": (post(b"X: 1\r\r\n"), BAD, 0),
    "line feeds alone": (post().replace(b"\r\n", b"\n"), OK, 1),
    "line feeds here and there": (post(b"X: 1\nY: 2\r\n"), OK, 1),
    "empty lines in front": (b"\r\n\r\n" + post(), OK, 1),
    "two blanks in the first line": (post().replace(b"POST ", b"POST  ", 1), BAD, 0),
    "a tab in the first line": (post().replace(b"POST ", b"POST\t", 1), BAD, 0),
    "an absolute target": (post(path=b"http://127.0.0.1/v1/chat/completions"), OK, 1),
    "an absolute target of another host": (post(path=b"http://evil/v1/chat/completions"), BAD, 0),
    "an absolute target with a user": (post(path=b"http://u@127.0.0.1/v1/chat/completions"), BAD, 0),
    "an absolute target of another scheme": (post(path=b"ftp://127.0.0.1/v1/chat/completions"), BAD, 0),
    "a target of two slashes": (post(path=b"//evil/v1/chat/completions"), BAD, 0),
    "dots": (post(path=b"/v1/../admin/v1/status"), BAD, 0),
    "dots, encoded": (post(path=b"/v1/%2e%2e/admin"), BAD, 0),
    "dots and a slash, encoded": (post(path=b"/v1/files%2f..%2fx"), BAD, 0),
    "dots and backslashes": (post(path=b"/v1/files%5c..%5cx"), BAD, 0),
    "dots with a parameter": (post(path=b"/v1/files/..;/x"), BAD, 0),
    "dots at the end": (post(path=b"/v1/files/.."), BAD, 0),
    "an encoded NUL": (post(path=b"/v1/files/a%00b"), BAD, 0),
    "an encoded line end": (post(path=b"/v1/files/a%0d%0aX:1"), BAD, 0),
    "a fragment": (post(path=b"/v1/files/a#b"), BAD, 0),
    "a fragment in the query": (post(path=b"/v1/files?x=a#b"), BAD, 0),
    "three dots are a name": (post(path=b"/v1/files/.../x"), OK, 1),
    "the admin API": (post(path=b"/admin/v1/keys"), (404,), 0),
    "CONNECT": (post(method=b"CONNECT", path=b"127.0.0.1:80"), (405,), 0),
    "TRACE": (post(method=b"TRACE"), (405,), 0),
    "a method in small letters": (post(method=b"post"), (405,), 0),
    "HTTP/2 in words": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,), 0),
    "HTTP/1.2": (post(version=b"HTTP/1.2"), (505,), 0),
    "a version of two digits": (post(version=b"HTTP/1.10"), BAD, 0),
    "an upgrade": (post(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\n"), (426,), 0),
    "an unknown expectation": (post(b"Expect: 200-ok\r\n"), (417,), 0),
    "a compressed body": (post(b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"), (415,), 0),
    "a connection header that names the host": (post(b"Connection: host, content-length\r\n"), OK, 1),
    "a chunk's extension": (chunked(whole(b"1b;a=b")), OK, 1),
    "a chunk's extension of 20 kB": (chunked(whole(b"1b;a=" + b"x" * 20000)), BAD, 0),
    "a chunk's extension of 1 MB": (chunked(whole(b"1b;a=" + b"x" * 1000000)), BAD, 0),
    "a chunk's size of 100,000 zeros": (chunked(whole(b"0" * 100000 + b"1b")), BAD, 0),
    "a chunk's size with a sign": (chunked(whole(b"+1b")), BAD, 0),
    "a chunk's size with 0x": (chunked(whole(b"0x1b")), BAD, 0),
    "a negative chunk": (chunked(whole(b"-1b")), BAD, 0),
    "a chunk past 64 bits": (chunked(whole(b"10000000000000000")), (413,), 0),
    "a chunk of no size": (chunked(whole(b"")), BAD, 0),
    "a chunk that is longer than it says": (chunked(whole(end=b"XX0\r\n\r\n") + NEXT), BAD, 0),
    "a trailer": (chunked(whole(end=b"\r\n0\r\nX-T: 1\r\n\r\n")), OK, 1),
    "a trailer of framing": (chunked(whole(end=b"\r\n0\r\nContent-Length: 5\r\n\r\n")) + NEXT, BAD, 0),
    "a trailer of 30 kB": (chunked(whole(end=b"\r\n0\r\nX-T: " + b"y" * 30000 + b"\r\n\r\n")), (431,), 0),
    "a hundred headers": (post(b"".join(b"X-%d: 1\r\n" % i for i in range(98))), OK, 1),
    "a hundred and one": (post(b"".join(b"X-%d: 1\r\n" % i for i in range(99))), (431,), 0),
    "three in a row": (post() + post() + NEXT, (200, 200, 200), 2),
    "two, and the first says close": (post(b"Connection: close\r\n") + post(), OK, 1),
    "two, and the first is of HTTP/1.0": (post(version=b"HTTP/1.0") + post(), OK, 1),
    "one, and then none": (post() + b"GARBAGE\r\n\r\n", OK, 1),
}


def wish(right, text):
    if not right:
        raise Fault(text)


class Bench:
    def __init__(self):
        self.provider, self.reached = Provider("a"), 0
        self.provider.blocks, self.provider.repeat = [self.play], True
        self.g = gateway.Gateway()
        self.g.write_config(f"workers: 1\ncapture: {{ bodies: off }}\nproviders:\n  a: {{ dialect: openai, base_url: "
                            f"\"{self.provider.url}\", api_key: \"{self.provider.key}\", models: [m] }}\n")
        self.g.start()

    def play(self, _, link, request):
        self.reached += 1
        wish(not any(re.search(r"[\x00-\x1f\x7f]", n + v) for n, v in request.headers), f"control bytes: {request.headers}")
        link.answer(200, "application/json", WHOLE)

    def ask(self, data, quiet=0.25):
        """(all that came, whether the connection ended)"""
        with socket.create_connection(("127.0.0.1", self.g.port)) as sock:
            got, ended = b"", False
            try:
                sock.sendall(data)
            except OSError:
                pass
            sock.settimeout(3)
            try:
                while not ended:
                    piece = sock.recv(65536)
                    got, ended = got + piece, not piece
                    sock.settimeout(quiet)
            except socket.timeout:
                pass
            except OSError:
                ended = True
        return got, ended

    def cpu_s(self):
        with open(f"/proc/{self.g.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def judged(b, name):
    data, statuses, reached = CASES[name]
    before = b.reached
    got, ended = b.ask(data)
    seen = tuple(int(s) for s in re.findall(rb"HTTP/1\.1 (\d\d\d)", got) if s != b"100")
    wish(seen == statuses, f"answers {seen}, wanted {statuses}: {got[:300]!r}")
    wish(b.reached - before == reached, f"{b.reached - before} requests reached the provider, wanted {reached}")
    if seen and seen[-1] >= 400 and seen[-1] != 404:
        wish(ended, "the connection lives on after a refusal")
        wish(b'"error"' in got, f"no error object: {got[:300]!r}")
    wish(b.provider.key.encode() not in got, "the provider's key came through")


def nothing_spins(b):
    """Heads, chunk sizes and trailers of all lengths about that of the buffers, left as they are."""
    socks = []
    begin = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST
    for n in [*range(12000, 12400, 40), *range(17900, 18500, 15)]:
        for part in (begin + b"X: ", begin + CHUNKED + b"\r\n1b;a=", begin + CHUNKED + b"\r\n1b\r\n" + BODY + b"\r\n0\r\nX: "):
            socks.append(socket.create_connection(("127.0.0.1", b.g.port)))
            socks[-1].sendall(part + b"x" * n)
    time.sleep(1)
    before = b.cpu_s()
    time.sleep(1.5)
    used = b.cpu_s() - before
    for sock in socks:
        sock.close()
    wish(used < 0.3, f"{used:.2f} s of CPU in 1.5 s with nothing to do")


def all_ends_well(b):
    got, _ = b.ask(post())
    wish(got.startswith(b"HTTP/1.1 200"), "the next request is not served")
    faults = b.provider.faults
    b.g.stop()
    faults += b.g.judge_log(False, [b.provider.key])
    wish(not faults, "; ".join(faults))


def main():
    if not gateway.present():
        print("1..1\nnot ok 1 - build/pointsman serve is not there")
        return 1
    b = Bench()
    try:
        tests = [tap.test(judged, b, name, name=name) for name in CASES if not sys.argv[1:] or sys.argv[1] in name]
        return tap.run([*tests, tap.test(nothing_spins, b, name="nothing spins"), tap.test(all_ends_well, b, name="all ends well")])
    finally:
        b.g.remove()
        b.provider.stop()


if __name__ == "__main__":
    sys.exit(main())
