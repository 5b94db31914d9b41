#!/usr/bin/env python3
"""Runs every suite and counts: units and store contract (cmocka, TAP), stories (tests/http), screens
(tests/tui), lints (tests/lint), clients (tests/clients). A suite is an executable that prints TAP
lines ("ok …", "not ok …", "ok … # SKIP why"). Ends with `N passed, N failed[, N skipped]`.

    python3 tests/run.py --build build [NAME-PART ...]      only suites whose name contains a part

`--not PART` leaves suites out. Where several runs make one (.ci/run), CHECK_STAGE names the run in
front of its totals, and CHECK_TOTALS is a file that gets a line with the three numbers."""
import argparse
import os
import re
import subprocess
import sys
import time

# Suites whose cases wait for real time on a shared machine: a failure is tried once more and said.
TIMED = ("http/", "tui/", "clients/", "unit/test_http", "unit/test_probes", "unit/test_upstream", "store/test_crash")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def suites(build):
    for folder in ("unit", "store", "tui"):
        where = os.path.join(build, "tests", folder)
        source = os.path.join(ROOT, "tests", folder)
        for name in sorted(os.listdir(source)) if os.path.isdir(source) else []:
            if name.startswith("test_") and name.endswith(".c"):
                yield f"{folder}/{name[:-2]}", [os.path.join(where, name[:-2])]
    for folder in ("lint", "http", "tui", "store", "clients", "fuzz"):
        where = os.path.join(ROOT, "tests", folder)
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else []:
            if name.startswith("check_") and name.endswith(".py"):
                yield f"{folder}/{name[:-3]}", [sys.executable, os.path.join(where, name)]


def run(name, command, env, limit):
    started = time.time()
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit)
        text, code = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode("utf-8", "replace") + f"\nnot ok - {name} took over {limit} s\n"
        code = 1
    except OSError as error:
        text, code = f"not ok - {name}: {error}\n", 1
    passed = failed = skipped = 0
    for line in text.splitlines():
        if re.match(r"ok\b.*# *SKIP", line, re.I):
            skipped += 1
        elif re.match(r"ok\b", line):
            passed += 1
        elif re.match(r"not ok\b", line):
            failed += 1
    if code != 0 and failed == 0:
        failed = 1
    if "Sanitizer" in text and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        failed = 1
        text += "\nno test ran\n"
    print(f"{'ok  ' if not failed else 'FAIL'} {name:40} {passed:5} passed {failed:3} failed"
          f" {skipped:3} skipped  {time.time() - started:6.1f} s", flush=True)
    if failed:
        print("\n".join("    " + line for line in text.splitlines()[-60:]), flush=True)
    for line in text.splitlines():
        if re.match(r"ok\b.*# *SKIP", line, re.I):
            print("    skipped: " + line.split("#", 1)[1].strip()[5:].strip())
    return passed, failed, skipped, "Sanitizer" in text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--limit", type=int, default=300, help="seconds a suite may take")
    parser.add_argument("--not", dest="without", action="append", default=[], metavar="PART")
    parser.add_argument("parts", nargs="*")
    args = parser.parse_args()
    build = os.path.join(ROOT, args.build)
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", POINTSMAN_BUILD=build,
               POINTSMAN_BIN=os.path.join(build, "pointsman"),
               POINTSMAN_SHARED=os.path.join(os.path.dirname(ROOT), "shared"),
               ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1"), LC_ALL="C.UTF-8")
    env.pop("CI", None)
    total = [0, 0, 0]
    for name, command in suites(build):
        if args.parts and not any(part in name for part in args.parts):
            continue
        if any(part in name for part in args.without):
            continue
        counts = run(name, command, env, args.limit)
        if counts[1] and name.startswith(TIMED) and not counts[3]:
            print(f"     {name}: lives on real clocks and sockets, so once more; both results stand here", flush=True)
            counts = run(name, command, env, args.limit)
        total = [a + b for a, b in zip(total, counts)]
    if os.environ.get("CHECK_TOTALS"):
        with open(os.environ["CHECK_TOTALS"], "a", encoding="ascii") as f:
            print(*total, file=f)
    stage = os.environ.get("CHECK_STAGE", "")
    line = (stage + ": " if stage else "") + f"{total[0]} passed, {total[1]} failed"
    print(line + (f", {total[2]} skipped" if total[2] else ""))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
