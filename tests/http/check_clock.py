#!/usr/bin/env python3
"""Clocks that jump: an hour forth and back by the wall, an hour forth by the monotonic clock, a day's end.
Limits go on, windows are reset once, nothing gets a negative age, spend and ledger agree. Prints TAP."""
import calendar
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import fault  # noqa: E402
import gateway  # noqa: E402
import tap  # noqa: E402
from peers import Client, Fault, Provider, post  # noqa: E402

KEY, HOUR, DAY = "clock-key-0123456789abcdef", 3600000, 86400000
WHOLE = b'{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},' \
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20}}'
EACH = 20 * 1000  # nano-USD: 20 tokens at 1 USD a million


def wish(right, text):
    if not right:
        raise Fault(text)


class Bench:
    def __init__(self, limits):
        self.provider = Provider("a")
        self.provider.blocks, self.provider.repeat = [lambda _, link, __: link.answer(200, "application/json", WHOLE)], True
        self.g = fault.Gateway()
        self.g.env["K"] = KEY
        self.g.write_config(
            f"workers: 2\ntimezone: UTC\nkeys:\n  one: {{ secret: env:K, {limits} }}\nproviders:\n  a: {{ dialect: openai, "
            f"base_url: \"{self.provider.url}\", api_key: \"{self.provider.key}\", models: [m] }}\n"
            "prices:\n  \"*\": { input: 1, output: 1 }\n")
        today = time.gmtime()
        noon = calendar.timegm((today.tm_year, today.tm_mon, today.tm_mday, 12, 0, 0)) * 1000
        self.base = noon - int(time.time() * 1000)
        self.wall(0)
        self.g.start()

    def wall(self, offset_ms):
        """From noon of today on."""
        self.g.control.set(wall_ms=self.base + offset_ms)
        time.sleep(0.1)

    def ask(self, path="/v1/chat/completions", body=b'{"model":"m","max_tokens":10,"messages":[]}'):
        client = Client(self.g.port)
        try:
            if body is None:
                client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
            else:
                client.send(post(path, body, [f"Authorization: Bearer {KEY}"]))
            return client.read()
        finally:
            client.sock.close()

    def served(self, n):
        for _ in range(n):
            answer = self.ask()
            wish(answer.status == 200, f"{answer.status} {answer.text()}")

    def spent(self, window):
        usage = json.loads(self.ask("/v1/usage", None).body)
        return next((w["spent_nano"] for w in usage["windows"] if w["window"] == window), 0)

    def end(self):
        records = self.g.records()
        for r in records:
            low = [k for k, v in r.items() if isinstance(v, (int, float)) and v < 0 and k != "client_uid"]
            wish(not low, f"{low} of {r['id']} lie below zero")
        status = json.loads(self.g.command("status", "--json")[1])
        low = [k for k, v in status.items() if isinstance(v, (int, float)) and v < 0]
        wish(not low, f"status: {low} lie below zero")
        time.sleep(1.1)
        code, out, err = self.g.command("db", "check")
        wish(code == 0, f"db check: {out} {err}")
        self.g.stop()
        faults = self.g.judge_log()
        wish(not faults, "; ".join(faults))
        return records

    def remove(self):
        self.g.remove()
        self.provider.stop()


def the_wall_clock_goes_an_hour_forth_and_back(b):
    b.served(3)
    for offset, sum_of in ((HOUR, 5), (-HOUR, 7), (0, 9)):
        b.wall(offset)
        b.served(2)
        wish(b.spent("day") == sum_of * EACH, f"{b.spent('day')} nano-USD are spent today, not {sum_of * EACH}")
    wish(len(b.end()) == 9, "a record is missing")


def a_day_ends_once(b):
    b.served(4)
    b.wall(DAY)
    wish(b.spent("day") == 0, f"the new day begins with {b.spent('day')}")
    b.served(1)
    wish(b.spent("day") == EACH, f"{b.spent('day')}")
    b.wall(0)  # the clock is put right: no second fresh day
    b.served(1)
    wish(b.spent("day") >= 2 * EACH, f"after a step back {b.spent('day')} are spent: a budget was given twice")
    b.wall(DAY)
    b.served(1)
    wish(b.spent("day") >= 2 * EACH, f"the same day began anew: {b.spent('day')}")
    wish(b.spent("total") == 7 * EACH, f"in total {b.spent('total')}, not {7 * EACH}")
    b.end()


def a_budget_holds_through_steps_back(b):
    b.served(3)
    wish(b.ask().status == 402, "the fourth is not refused")
    for offset in (-HOUR, HOUR, -2 * HOUR, 0):
        b.wall(offset)
        answer = b.ask()
        wish(answer.status == 402, f"at {offset // HOUR} h: {answer.status}")
    b.wall(DAY)
    b.served(1)
    b.end()


def a_step_back_does_not_stop_the_minutes(b):
    for offset in (0, 61000, 61000 - HOUR, 122000 - HOUR, HOUR):
        b.wall(offset)
        if offset == 61000 - HOUR:  # no time has passed
            wish(b.ask().status == 429, "a step back gives a fresh minute")
            continue
        b.served(4)
        wish(b.ask().status == 429, "the fifth in a minute is not refused")
    b.end()


def the_monotonic_clock_jumps_an_hour(b):
    link = Client(b.g.port)
    b.served(2)
    b.g.control.set(mono_us=HOUR * 1000)
    time.sleep(0.3)
    b.served(2)
    b.g.control.set(mono_us=2 * HOUR * 1000)
    b.served(1)
    link.sock.close()
    wish(len(b.end()) == 5, "a record is missing")


CHECKS = [(the_wall_clock_goes_an_hour_forth_and_back, "budget: { day: $5 }"),
          (a_day_ends_once, "budget: { day: $5, total: $50 }"),
          (a_budget_holds_through_steps_back, "budget: { day: 0.0006usd }"),
          (a_step_back_does_not_stop_the_minutes, "rpm: 4"),
          (the_monotonic_clock_jumps_an_hour, "budget: { total: $5 }")]


def alone(check, limits):
    b = Bench(limits)
    try:
        check(b)
    finally:
        b.remove()


def main():
    skip = None if gateway.present() and fault.usable() else "needs a release build with its tools"
    return tap.run([tap.test(alone, check, limits, name=tap.named(check)) for check, limits in CHECKS], skip)


if __name__ == "__main__":
    sys.exit(main())
