#!/usr/bin/env python3
"""The README's generated parts (commands, endpoints, configuration) agree with the program.

    tests/lint/check_readme.py --write      writes them anew between their markers"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import tap  # noqa: E402

BINARY = os.environ.get("POINTSMAN_BIN", os.path.join(ROOT, "build", "pointsman"))


def run(*words):
    return subprocess.run([BINARY, *words], stdout=subprocess.PIPE, timeout=20).stdout.decode()


def commands():
    return "```\n" + run("help").split("\nGlobal options")[0].rstrip() + "\n```"


def endpoints():
    with open(os.path.join(ROOT, "proxy/endpoints.def"), encoding="utf-8") as f:
        rows = re.findall(r'^X\("([^"]+)", "([^"]+)", \w+, (\w+), (\w+), "([^"]+)"\)', f.read(), re.M)
    lines = ["| | path | |", "|---|---|---|"]
    lines += [f"| {methods} | `{path}` | {help} |" for methods, path, _, _, help in rows]
    return "\n".join(lines)


def configuration():
    return run("config", "options").rstrip()


PARTS = {"commands": commands, "endpoints": endpoints, "configuration": configuration}


def main():
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as f:
        text = old = f.read()
    failed = 0
    tap.plan(len(PARTS))
    for number, (name, make) in enumerate(PARTS.items(), 1):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end {name} -->)", re.S)
        new = pattern.sub(lambda m: m.group(1) + make() + m.group(2), text)
        good = bool(pattern.search(text)) and (new == text or "--write" in sys.argv)
        failed += tap.line(number, f"the README's {name} are those of the program",
                           [] if good else ["run me with --write"])
        text = new
    if "--write" in sys.argv and text != old:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
