#!/usr/bin/env python3
"""Plays every raw answer of torture/upstream, ours and those of ../shared, and more of the same kinds, as a
provider, whole, byte by byte, with a stall and with a reset in the middle, and judges what the client and the record
get. One provider for each answer and pace, sixteen at once. Prints TAP."""
import concurrent.futures
import glob
import gzip
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, data, post  # noqa: E402

SEED = 20261
AT_ONCE = 200  # a configuration holds 256 providers
PACES = ("whole", "bytes", "stall", "reset")


def wish(right, text):
    if not right:
        raise Fault(text)


def is_error(answer, *statuses):
    wish(answer.status in statuses, f"status {answer.status}, wanted one of {statuses}")
    wish(answer.complete, "the error answer is cut")
    wish("error" in answer.json(), "no error object")


def shows_failure(answer):
    """In mid-stream: an error event, never a terminal event or a clean end without one."""
    if answer.status >= 400:
        return is_error(answer, answer.status)
    wish("[DONE]" not in answer.text(), "the stream looks finished")
    wish('"error"' in answer.text() or not answer.complete, "a clean end without a word of the error")
    return None


def is_fine(answer):
    wish(answer.status == 200 and answer.complete, f"status {answer.status}, complete {answer.complete}")


def fine_or_502(answer):
    if answer.status != 200:
        is_error(answer, 502)
    else:
        wish(answer.complete or not answer.text().endswith("[DONE]\n\n"), "cut after its end")


def no_location(answer):
    is_error(answer, 502)
    wish(answer.header("location") is None, "the redirect is passed on")


def no_cookie(answer):
    wish(answer.header("set-cookie") is None, "a cookie was smuggled into the head")


def clamped(answer):
    wish(answer.status == 429, f"status {answer.status}")
    after = answer.header("retry-after")
    wish(after is None or int(after) <= 86400, f"retry-after is {after}")


def clamped_or_date(answer):
    wish(answer.status == 429, f"status {answer.status}")


def bomb(answer):
    wish(len(answer.body) < 16 << 20, f"{len(answer.body)} bytes came out of it")
    wish(answer.status == 502 or not answer.complete or '"error"' in answer.text(), "the bomb passed")


# file's first two digits → (what the client asks for, the judge of its answer, wishes about the record)
WANTED = {
    "02": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "03": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "04": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "05": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "07": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "08": (False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "09": (False, fine_or_502, {}),
    "12": (False, no_cookie, {}),
    "18": (True, shows_failure, {}),
    "19": (True, shows_failure, {"outcome": "truncated"}),
    "20": (True, shows_failure, {}),
    "21": (True, shows_failure, {}),
    "25": (True, lambda a: wish("error" in a.text(), "the error is hidden"), {}),
    "26": (True, lambda a: wish("error" in a.text(), "the error is hidden"), {}),
    "27": (True, fine_or_502, {}),
    "29": (False, lambda a: is_error(a, 502), {}),
    "30": (False, lambda a: is_error(a, 502), {}),
    "31": (False, lambda a: is_error(a, 401, 502), {}),
    "32": (False, lambda a: wish(400 <= a.status < 600, f"status {a.status}"), {}),
    "34": (False, lambda a: wish(400 <= a.status < 600, f"status {a.status}"), {}),
    "35": (False, lambda a: wish(a.status == 413, f"status {a.status}"), {}),
    "37": (False, clamped, {}),
    "41": (False, no_location, {}),
    "42": (False, no_location, {}),
    "43": (False, fine_or_502, {}),
    "45": (False, bomb, {}),
    "47": (False, fine_or_502, {}),
    "48": (False, fine_or_502, {}),
    "50": (False, is_fine, {"usage_source": "estimated"}),
    "52": (True, is_fine, {"outcome": "ok"}),
    "53": (False, lambda a: is_error(a, 502), {}),
    "54": (False, lambda a: is_error(a, 502), {}),
    "55": (False, is_fine, {"outcome": "ok"}),
    "56": (False, fine_or_502, {}),
    "58": (True, fine_or_502, {}),
    "60": (True, is_fine, {"outcome": "ok"}),
    "61": (True, is_fine, {"outcome": "ok"}),
    "67": (True, shows_failure, {}),
    "68": (False, is_fine, {"outcome": "ok"}),
}


JSON = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},' \
    b'"finish_reason":"stop"}],"usage":%s}' % b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
HELLO = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


def whole(body=JSON, status=b"200 OK", kind=b"application/json", more=b"", length=None):
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status, kind, more, len(body) if length is None else length, body)


def streamed(*pieces, more=b"", end=b"0\r\n\r\n"):
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%sTransfer-Encoding: chunked\r\n\r\n" % more + \
        b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + end


def usage(text):
    return JSON.replace(JSON[JSON.index(b'"usage":'):-1], b'"usage":' + text)


def sane(answer):
    """Whatever it is, it is whole or shows that it is not, and nothing of the second answer is in it."""
    wish(answer.status in (200, 204) or answer.status >= 400, f"status {answer.status}")
    wish(b"SECOND" not in answer.raw, "a second answer came through")


def no_hops(answer):
    is_fine(answer)
    for name in ("proxy-authenticate", "keep-alive", "upgrade", "te", "x-secret-hop", "set-cookie", "alt-svc",
                 "strict-transport-security"):
        wish(answer.header(name) is None, f"{name} is passed on")


# More of the same kinds, made here: name → (raw, what the client asks for, the judge, wishes about the record)
MADE = {
    "silence after a head of half a line": (b"HTTP/1.1 20", False, lambda a: is_error(a, 502), {"cost_nano": 0}),
    "a body shorter than its length": (whole(length=len(JSON) + 50), False, lambda a: is_error(a, 502), {}),
    "a body longer than its length": (whole() + b"SECOND" * 10, False, sane, {}),
    "two answers": (whole() + whole(b'{"SECOND":1}'), False, sane, {}),
    "a length and chunks": (streamed(HELLO, b"data: [DONE]\n\n", more=b"Content-Length: 5\r\n"), True, sane, {}),
    "two lengths": (whole(more=b"Content-Length: 3\r\n"), False, sane, {}),
    "a negative length": (whole(length=-5), False, lambda a: is_error(a, 502), {}),
    "headers of one hop": (whole(more=b"Connection: x-secret-hop\r\nX-Secret-Hop: 1\r\nKeep-Alive: 5\r\nSet-Cookie: a=b\r\n"
                                 b"Proxy-Authenticate: Basic\r\nAlt-Svc: h3=\":1\"\r\nStrict-Transport-Security: max-age=1\r\n"),
                           False, no_hops, {}),
    "switching protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nSECOND", False,
                            lambda a: is_error(a, 502), {}),
    "a hundred interim answers": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100 + whole(), False, fine_or_502, {}),
    "nothing, and that well": (b"HTTP/1.1 204 No Content\r\n\r\n", False, sane, {}),
    "an empty body": (whole(b""), False, lambda a: is_error(a, 502), {}),
    "a redirect elsewhere": (whole(b"", b"307 Temporary Redirect", more=b"Location: http://169.254.169.254/latest\r\n"), False,
                             no_location, {}),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", False, lambda a: is_error(a, 502), {}),
    "gzip that is none": (whole(b"not gzip at all", more=b"Content-Encoding: gzip\r\n"), False, lambda a: is_error(a, 502), {}),
    "gzip that grows a thousandfold": (whole(gzip.compress(bytes(64 << 20), 9), more=b"Content-Encoding: gzip\r\n"), False, bomb, {}),
    "five thousand headers": (whole(more=b"X-Many: 1\r\n" * 5000), False, fine_or_502, {}),
    "gzip that ends early": (whole(gzip.compress(JSON * 50)[:-30], more=b"Content-Encoding: gzip\r\n"), False,
                             lambda a: is_error(a, 502), {}),
    "gzip in gzip": (whole(gzip.compress(gzip.compress(JSON)), more=b"Content-Encoding: gzip, gzip\r\n"), False,
                     lambda a: is_error(a, 502), {}),
    "negative usage": (whole(usage(b'{"prompt_tokens":-3,"completion_tokens":-2,"total_tokens":-5}')), False, is_fine, {}),
    "usage in words": (whole(usage(b'{"prompt_tokens":"3","completion_tokens":null,"total_tokens":[]}')), False, is_fine, {}),
    "usage that is null": (whole(usage(b"null")), False, is_fine, {"usage_source": "estimated"}),
    "usage past 64 bits": (whole(usage(b'{"prompt_tokens":99999999999999999999999,"completion_tokens":1e400}')), False, is_fine, {}),
    "usage twice in one object": (whole(usage(b'{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens":9000000}')), False, is_fine, {}),
    "a mark of byte order": (whole(b"\xef\xbb\xbf" + JSON), False, fine_or_502, {}),
    "an array": (whole(b"[" + JSON + b"]"), False, sane, {}),
    "two documents": (whole(JSON + JSON.replace(b"hi", b"SECOND")), False, lambda a: wish(a.status in (200, 502), a.status), {}),
    "a million blanks": (whole(b" " * 900000 + JSON), False, fine_or_502, {}),
    "a flood of comments": (streamed(*[b": OPENROUTER PROCESSING\n\n"] * 3000, HELLO, b"data: [DONE]\n\n"), True, is_fine,
                            {"outcome": "ok"}),
    "a line of two megabytes": (streamed(b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"' + b"x" * (2 << 20) +
                                         b'"}}]}\n\n', b"data: [DONE]\n\n"), True, fine_or_502, {}),
    "carriage returns alone": (streamed(HELLO.replace(b"\n", b"\r"), b"data: [DONE]\r\r"), True, fine_or_502, {}),
    "no end of the stream": (streamed(HELLO, b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'),
                             True, lambda a: wish("hi" in a.text(), "nothing came"), {}),
    "half an event at the end": (streamed(HELLO, b'data: {"id":"c1","choi'), True, shows_failure, {}),
    "words after the end": (streamed(HELLO, b"data: [DONE]\n\n", HELLO.replace(b"hi", b"late")), True, sane, {}),
    "a chunk of 2^63": (streamed(HELLO, end=b"7fffffffffffffff\r\nx"), True, shows_failure, {}),
    "a chunk of no number": (streamed(HELLO, end=b"zz\r\nx\r\n"), True, shows_failure, {}),
    "trailers": (streamed(HELLO, b"data: [DONE]\n\n", end=b"0\r\nX-Trailer: 1\r\nSet-Cookie: a=b\r\n\r\n"), True, is_fine,
                 {"outcome": "ok"}),
    "an answer of an old version": (b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + JSON, False, fine_or_502, {}),
    "an answer of HTTP/2 in words": (b"HTTP/2 200\r\nContent-Type: application/json\r\n\r\n" + JSON, False, sane, {}),
    "a frame of HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18, False, lambda a: is_error(a, 502), {}),
    "a status of no number": (b"HTTP/1.1 OK\r\n\r\n", False, lambda a: is_error(a, 502), {}),
    "a status of 999": (whole(status=b"999 What"), False, sane, {}),
    "a header without an end of line": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300000, False, lambda a: is_error(a, 502), {}),
    "a header of NUL": (whole(more=b"X-Nul: a\x00b\r\n"), False, sane, {}),
    "a folded header": (whole(more=b"X-Fold: a\r\n  Set-Cookie: b=c\r\n"), False, no_cookie, {}),
    "too many requests in a date": (whole(b'{"error":{"message":"slow"}}', b"429 Too Many", more=b"Retry-After: "
                                          b"Fri, 31 Dec 9999 23:59:59 GMT\r\n"), False, clamped_or_date, {}),
    "too many requests of negative time": (whole(b'{"error":{"message":"slow"}}', b"429 Too Many", more=b"Retry-After: -7\r\n"), False,
                                           lambda a: wish(a.status == 429, f"status {a.status}"), {}),
    "a page in the place of an error": (whole(b"<html>bad gateway</html>", b"503 No", b"text/html"), False,
                                        lambda a: is_error(a, 502, 503), {}),
}


class Case:
    def __init__(self, name, pace, path=None):
        self.file, self.pace = name, pace
        if path:
            with open(path, "rb") as f:
                self.raw = f.read()
            self.wanted = WANTED[name[:2]]
        else:
            self.raw, *self.wanted = MADE[name]
        place = "own" if path and path.startswith(data("torture/upstream")[0]) else ""
        self.name = f"{place + name[:2] if path else 'made%d' % list(MADE).index(name)}-{pace}"
        self.provider = Provider("p" + self.name)
        self.provider.blocks, self.provider.repeat = [self.play], True
        self.offset = random.Random(f"{SEED}{self.name}").randrange(max(len(self.raw), 1))

    def play(self, provider, link, request):
        link.may_break = True
        if self.pace == "bytes":
            link.slowly(self.raw[:2000], 1, 0.0005)
            link.send(self.raw[2000:])
        elif self.pace == "stall":
            link.send(self.raw[:self.offset])
            time.sleep(0.4)
            link.send(self.raw[self.offset:])
        elif self.pace == "reset":
            link.send(self.raw[:self.offset])
            time.sleep(0.05)
            link.reset()
            return
        else:
            link.send(self.raw)
        link.close()

    def judge(self, gate):
        stream, verdict, fields = self.wanted
        client = Client(gate.port)
        body = {"model": "m-" + self.name, "messages": [{"role": "user", "content": "hi"}]}
        if stream:
            body["stream"] = True
        client.send(post("/v1/chat/completions", json.dumps(body)))
        answer = client.read()
        wish(answer.raw, "no answer at all")
        if self.pace == "reset":
            self.judge_reset(answer)
        else:
            verdict(answer)
        wish(self.provider.key not in answer.raw.decode("latin-1"), "the provider's key came through")
        record = gate.record(answer.header("x-request-id"), 8)
        wish(record["state"] == "done", "the record is not done")
        for name in ("input_tokens", "output_tokens", "cost_nano", "total_us"):
            wish(0 <= record[name] < 1 << 62, f"{name} is {record[name]}")
        if self.pace != "reset":
            for name, value in fields.items():
                wish(record[name] == value, f"the record's {name} is {record[name]}, wanted {value}")
        client.sock.close()
        return answer

    def judge_reset(self, answer):
        """Cut anywhere: the client must not take what it has for the whole."""
        whole = self.raw.partition(b"\r\n\r\n")[2]
        if answer.status == 200 and answer.complete and '"error"' not in answer.text():
            wish(b"[DONE]" in answer.body or len(answer.body) >= len(whole) or b"HTTP/1.1 200" not in self.raw
                 or b"SECOND" in self.raw,
                 "a cut answer ended cleanly")


def one(case, gate):
    try:
        case.judge(gate)
        return case, list(case.provider.faults)
    except (Fault, OSError, ValueError, KeyError) as fault:
        return case, [f"{type(fault).__name__}: {fault}"]


def play(cases, before):
    """One gateway for these. Gives how many failed, and what is wrong with the gateway itself."""
    gate = gateway.Gateway()
    rows = [f"  {c.provider.name}: {{ dialect: openai, base_url: \"{c.provider.url}\", "
            f"api_key: \"{c.provider.key}\", models: [m-{c.name}] }}" for c in cases]
    gate.write_config("workers: 2\ncapture: { bodies: off }\nproviders:\n" + "\n".join(rows) + "\n")
    failed = 0
    try:
        gate.start()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for number, (case, faults) in enumerate(pool.map(lambda c: one(c, gate), cases), before + 1):
                failed += tap.line(number, f"{case.file} {case.pace}", faults)
        gate.stop()
        return failed, gate.judge_log(True, [c.provider.key for c in cases])
    except Fault as fault:
        return failed, [str(fault)]
    finally:
        for case in cases:
            case.provider.stop()
        gate.remove()


def main():
    if not gateway.present():
        print("1..1\nnot ok 1 - build/pointsman serve is not there")
        return 1
    parts = sys.argv[1:]
    cases = [Case(os.path.basename(path), pace, path) for folder in data("torture/upstream")
             for path in sorted(glob.glob(os.path.join(folder, "*.raw")))
             for pace in PACES if os.path.basename(path)[:2] in WANTED]
    cases += [Case(name, pace) for name in MADE for pace in PACES]
    cases = [c for c in cases if not parts or any(part in c.name for part in parts)]
    tap.plan(len(cases) + 1)
    failed, faults = 0, []
    for first in range(0, len(cases), AT_ONCE):
        bad, more = play(cases[first:first + AT_ONCE], first)
        failed, faults = failed + bad, faults + more
    failed += tap.line(len(cases) + 1, "each gateway ends with 0 and a quiet log", faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
