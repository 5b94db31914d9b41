#!/usr/bin/env python3
"""Plays every raw answer of ../shared/torture/upstream as a provider, whole, byte by byte, with a stall
and with a reset in the middle, and judges what the client and the record get. One gateway, one
provider for each answer and pace, sixteen at once. Prints TAP."""
import concurrent.futures
import glob
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, post, shared  # noqa: E402

SEED = 20261


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


class Case:
    def __init__(self, path, pace):
        self.file, self.pace = os.path.basename(path), pace
        with open(path, "rb") as f:
            self.raw = f.read()
        self.name = f"{self.file[:2]}-{pace}"
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
        stream, verdict, fields = WANTED[self.file[:2]]
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
            wish(b"[DONE]" in answer.body or len(answer.body) >= len(whole) or b"HTTP/1.1 200" not in self.raw,
                 "a cut answer ended cleanly")


def one(case, gate):
    try:
        case.judge(gate)
        return case, list(case.provider.faults)
    except (Fault, OSError, ValueError, KeyError) as fault:
        return case, [f"{type(fault).__name__}: {fault}"]


def main():
    folder = shared("torture/upstream")
    if not folder:
        print("1..1\nok 1 - raw answers of providers # SKIP the torture data is not here")
        return 0
    if not gateway.present():
        print("1..1\nnot ok 1 - build/pointsman serve is not there")
        return 1
    parts = sys.argv[1:]
    cases = [Case(path, pace) for path in sorted(glob.glob(os.path.join(folder, "*.raw")))
             for pace in ("whole", "bytes", "stall", "reset") if os.path.basename(path)[:2] in WANTED]
    cases = [c for c in cases if not parts or any(part in c.name for part in parts)]
    gate = gateway.Gateway()
    rows = [f"  {c.provider.name}: {{ dialect: openai, base_url: \"{c.provider.url}\", "
            f"api_key: \"{c.provider.key}\", models: [m-{c.name}] }}" for c in cases]
    gate.write_config("workers: 2\ncapture: { bodies: off }\nproviders:\n" + "\n".join(rows) + "\n")
    failed = 0
    tap.plan(len(cases) + 1)
    try:
        gate.start()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for number, (case, faults) in enumerate(pool.map(lambda c: one(c, gate), cases), 1):
                failed += tap.line(number, f"{case.file} {case.pace}", faults)
        gate.stop()
        faults = gate.judge_log(True, [c.provider.key for c in cases])
    except Fault as fault:
        faults = [str(fault)]
    finally:
        for case in cases:
            case.provider.stop()
        gate.remove()
    failed += tap.line(len(cases) + 1, "the gateway ends with 0 and a quiet log", faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
