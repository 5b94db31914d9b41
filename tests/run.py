#!/usr/bin/env python3
"""Runs every suite and counts: units and store contract (cmocka, TAP), stories (tests/http), screens
(tests/tui), lints (tests/lint), clients (tests/clients). A suite is an executable that prints TAP
lines ("ok …", "not ok …", "ok … # SKIP why"). Says what was skipped and ends with `N passed, N failed`.

    python3 tests/run.py --build build [NAME-PART ...]      only suites whose name contains a part

Three suites run at a time on two cores (--jobs; they mostly wait), the long ones begin first. `--not
PART` leaves suites out. Where several runs make one (.ci/run), CHECK_STAGE names the run in front of
its totals, and CHECK_TOTALS is a file that gets a line with the three numbers."""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

# Suites whose cases wait for real time on a shared machine: a failure is tried once more, with the
# machine to itself, and said.
TIMED = ("http/", "tui/", "clients/", "unit/test_http", "unit/test_probes", "unit/test_upstream", "store/test_crash")
# Begun first, so that no long one is left for the end.
LONG = ("clients/", "http/check_stories", "http/check_threats", "tui/", "http/check_kill", "http/check_launch",
        "http/")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# cmocka 1.1.5 writes "not ok 3 # SKIP name" for a test that skipped itself, later ones "ok 3 # SKIP name".
SKIPPED = re.compile(r"(not )?ok\b.*# *SKIP", re.I)


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


def begin_order(suite):
    return next((n for n, part in enumerate(LONG) if suite[0].startswith(part)), len(LONG))


def worth_reading(lines):
    """The failures with what stands below and, from cmocka, right above them, and the end."""
    wanted = set(range(max(0, len(lines) - 20), len(lines)))
    for n, line in enumerate(map(str.lstrip, lines)):
        if (line.startswith("not ok") and not SKIPPED.match(line)) or "Sanitizer" in line:
            wanted.update(range(n, min(n + 25, len(lines))))
            above = n
            while above and n - above < 12 and not lines[above - 1].lstrip().startswith(("ok ", "not ok")):
                above -= 1
            wanted.update(range(above, n))
    return [lines[n] for n in sorted(wanted)]


def run(name, command, env, limit):
    """(passed, failed, skipped, whether a sanitizer spoke)"""
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
        if SKIPPED.match(line):
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
    said = [f"{'ok  ' if not failed else 'FAIL'} {name:40} {passed:5} passed {failed:3} failed"
            f" {skipped:3} skipped  {time.time() - started:6.1f} s"]
    if failed:
        said += ["    " + line for line in worth_reading(text.splitlines())]
    for line in text.splitlines():
        if SKIPPED.match(line):
            said.append("    skipped: " + line.split("#", 1)[1].strip()[5:].strip())
    print("\n".join(said), flush=True)
    return passed, failed, skipped, "Sanitizer" in text


def run_all(wanted, env, args):
    """The counts of each suite; those that live on real clocks get a second try when all are done."""
    counts, again = [], []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as lanes:
        begun = [(suite, lanes.submit(run, *suite, env, args.limit)) for suite in sorted(wanted, key=begin_order)]
        for suite, lane in begun:
            if lane.result()[1] and suite[0].startswith(TIMED) and not lane.result()[3]:
                again.append(suite)
            else:
                counts.append(lane.result())
    for suite in again:
        print(f"     {suite[0]}: lives on real clocks and sockets, so once more; both results stand here", flush=True)
        counts.append(run(*suite, env, args.limit))
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--limit", type=int, default=300, help="seconds a suite may take")
    parser.add_argument("--jobs", type=int, default=min(3, (os.cpu_count() or 1) + 1), help="suites at a time")
    parser.add_argument("--not", dest="without", action="append", default=[], metavar="PART")
    parser.add_argument("parts", nargs="*")
    args = parser.parse_args()
    build = os.path.join(ROOT, args.build)
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", POINTSMAN_BUILD=build,
               POINTSMAN_BIN=os.path.join(build, "pointsman"),
               POINTSMAN_SHARED=os.path.join(os.path.dirname(ROOT), "shared"),
               ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1"), LC_ALL="C.UTF-8")
    env.pop("CI", None)
    wanted = [suite for suite in suites(build)
              if (not args.parts or any(part in suite[0] for part in args.parts))
              and not any(part in suite[0] for part in args.without)]
    total = [sum(column) for column in zip((0, 0, 0), *(c[:3] for c in run_all(wanted, env, args)))]
    if os.environ.get("CHECK_TOTALS"):
        with open(os.environ["CHECK_TOTALS"], "a", encoding="ascii") as f:
            print(*total, file=f)
    stage = os.environ.get("CHECK_STAGE", "")
    if total[2]:
        print(f"{total[2]} skipped, for the reasons above")
    print((stage + ": " if stage else "") + f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
