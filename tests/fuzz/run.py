#!/usr/bin/env python3
"""Runs each fuzz harness of a fuzz build for some seconds and prints TAP. Seeds lie in
tests/fuzz/seeds/NAME/ (fuzz_NAME is the harness). What libFuzzer finds new stays in a temporary
folder; an input that crashes is written to BUILD/crashes/ and named in the output.

    make fuzz FUZZ_SECONDS=20                 python3 tests/fuzz/run.py --build build/fuzz --seconds 20
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def run(path, seconds, crashes):
    name = os.path.basename(path)[len("fuzz_"):]
    seeds = os.path.join(HERE, "seeds", name)
    with tempfile.TemporaryDirectory() as found:
        command = [path, f"-max_total_time={seconds}", "-max_len=65536", "-timeout=10", "-rss_limit_mb=2048",
                   f"-artifact_prefix={crashes}/{name}-", found]
        if os.path.isdir(seeds):
            command.append(seeds)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds + 120)
    text = done.stdout.decode("utf-8", "replace")
    runs = re.search(r"Done (\d+) runs", text)
    return done.returncode == 0 and runs is not None, int(runs.group(1)) if runs else 0, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/fuzz")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="harnesses at once")
    parser.add_argument("parts", nargs="*", help="only harnesses whose name contains a part")
    args = parser.parse_args()
    build = os.path.join(ROOT, args.build)
    folder = os.path.join(build, "tests", "fuzz")
    crashes = os.path.join(build, "crashes")
    os.makedirs(crashes, exist_ok=True)
    names = [n for n in sorted(os.listdir(folder)) if n.startswith("fuzz_") and "." not in n] \
        if os.path.isdir(folder) else []
    names = [n for n in names if not args.parts or any(part in n for part in args.parts)]
    failed = 0
    pool = concurrent.futures.ThreadPoolExecutor(max(1, args.jobs))
    results = pool.map(lambda name: run(os.path.join(folder, name), args.seconds, crashes), names)
    for number, (name, (good, runs, text)) in enumerate(zip(names, results), 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name} ran {runs:,} inputs", flush=True)
        if not good:
            failed += 1
            print("\n".join("# " + line for line in text.splitlines()[-40:]))
    print(f"1..{len(names)}")
    if not names:
        print("not ok - no harness is built")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
