#!/usr/bin/env python3
"""Machines hold the line: who may include whom, headers that compile alone, banned calls, bound SQL,
words that promise without a date, sizes past which a file must be split. Prints TAP."""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import tap  # noqa: E402

PURE = {"proxy/route", "proxy/dialect", "proxy/meter", "proxy/access", "proxy/sse"}

# room → prefixes that it may include (besides itself and store/base, which is open to all)
MAY = {
    "store/base": [],
    "store": ["store"],
    "proxy/config": [],
    "proxy/loop": [],
    "proxy/http": ["proxy/loop", "proxy/config"],
    "proxy/upstream": ["proxy/loop", "proxy/config"],
    "proxy/event": ["store/store.h", "store/spool.h"],
    "proxy/dialect": ["proxy/config", "proxy/sse.h", "proxy/route", "proxy/meter", "proxy/access"],
    "proxy/meter": ["proxy/config", "proxy/sse.h", "proxy/dialect", "store/record.h"],
    "proxy/access": ["proxy/config"],
    "proxy/route": ["proxy/config", "proxy/dialect", "proxy/meter", "proxy/access"],
    "proxy/sse": [],
    "proxy/exchange": ["proxy/", "store/store.h", "store/spool.h", "store/record.h"],
    "proxy/admin": ["proxy/http", "proxy/loop", "proxy/event", "proxy/config", "proxy/access",
                    "proxy/route", "proxy/dialect", "proxy/meter", "proxy/sse.h", "store/store.h",
                    "store/spool.h", "store/record.", "store/query.h", "store/rollup.def"],
    "proxy/demo": ["proxy/loop", "proxy/http", "proxy/config"],
    # the shape of a record and the filter language are one for gateway and console
    "tui": ["tui", "proxy/admin/api.h", "proxy/admin/filter.h", "store/record."],
}
ONLY_IN = {  # library header → the one place that may name it
    "microhttpd.h": ["proxy/http/"], "curl/curl.h": ["proxy/upstream/", "tui/"],
    "sqlite3.h": ["store/sqlite/"], "libpq-fe.h": ["store/postgres/"],
    "cjson/cJSON.h": ["store/base/json.c"], "curses.h": ["tui/"], "ncurses.h": ["tui/"],
    "yaml.h": ["proxy/config/"],
}
BANNED = ["sprintf", "vsprintf", "strcpy", "strcat", "strncpy", "strncat", "gets", "atoi", "atol",
          "atof", "strtok", "system", "popen", "mktemp", "tmpnam", "alloca"]
HEADER_HEAVY = ["microhttpd.h", "curl/curl.h", "sqlite3.h", "libpq-fe.h", "cjson/cJSON.h", "curses.h"]


def files(*suffixes):
    for top in ("store", "proxy", "tui"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def room(path):
    parts = path.split("/")
    if path.startswith("proxy/sse."):
        return "proxy/sse"
    if parts[0] == "proxy":
        return "proxy/" + parts[1] if len(parts) > 2 else "proxy"
    if parts[0] == "store":
        return "store/base" if parts[1] == "base" else "store"
    return "tui"


def check_includes():
    for path in files(".c", ".h"):
        own = room(path)
        for include in re.findall(r'^#\s*include\s+"([^"]+)"', read(path), re.M):
            if include.startswith("store/base/") or room(include) == own:
                continue
            if own == "proxy":  # the front door and what builds and takes down
                continue
            if own == "proxy/exchange" and include.startswith("proxy/admin"):
                yield f"{path} includes {include}"
            if not any(include.startswith(prefix) for prefix in MAY.get(own, [])):
                yield f"{path} includes {include}: {own} may not"
        for include in re.findall(r'^#\s*include\s+<([^>]+)>', read(path), re.M):
            places = ONLY_IN.get(include)
            if places and not any(path.startswith(place) for place in places):
                yield f"{path} includes <{include}>, which belongs to {', '.join(places)}"
            if path.endswith(".h") and include in HEADER_HEAVY and not path.endswith("internal.h"):
                if os.path.dirname(path) in ("store", "proxy", "tui") or path.endswith("/http.h"):
                    yield f"{path}: a door pulls in <{include}>"


def strip(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def check_banned():
    pattern = re.compile(r"\b(" + "|".join(BANNED) + r")\s*\(")
    for path in files(".c", ".h"):
        for number, line in enumerate(strip(read(path)).splitlines(), 1):
            if pattern.search(line):
                yield f"{path}:{number}: {line.strip()[:80]}"


def check_sql():
    for path in files(".c"):
        for number, line in enumerate(read(path).splitlines(), 1):
            if re.search(r"printf[^;]*\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b", line):
                yield f"{path}:{number}: SQL from a format; bind parameters"


def check_words():
    for path in list(files(".c", ".h", ".def", ".md")) + ["README.md", "Makefile"]:
        for number, line in enumerate(read(path).splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield f"{path}:{number}: {line.strip()[:80]}"


def check_sizes():
    for path in files(".c", ".h"):
        lines = read(path).count("\n")
        if lines > (1000 if path.endswith(".c") else 320):
            yield f"{path}: {lines} lines"
        for number, line in enumerate(read(path).splitlines(), 1):
            if len(line) > 120:
                yield f"{path}:{number}: {len(line)} columns"


def check_fixtures():
    """Small, and every exchange is listed."""
    top = os.path.join(ROOT, "tests", "fixtures")
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(top) for name in names)
    if size > 300_000:
        yield f"tests/fixtures holds {size} bytes; what is larger belongs elsewhere"
    with open(os.path.join(top, "exchanges", "manifest.tsv"), encoding="utf-8") as f:
        listed = {"/".join(line.split("\t")[:2]) for line in f.read().splitlines()[1:]}
    there = {os.path.relpath(folder, os.path.join(top, "exchanges")) for folder, _, names in os.walk(top)
             if "expected.json" in names}
    for one in sorted(listed ^ there):
        yield f"tests/fixtures/exchanges/{one}: either its row in manifest.tsv or its folder is missing"


def check_readmes():
    for folder in ("store", "proxy", "tui", "tests", "tests/fixtures", "themes"):
        path = os.path.join(ROOT, folder, "README.md")
        if not os.path.exists(path):
            yield f"{folder}/README.md is missing"
        elif len(open(path, encoding="utf-8").read().splitlines()) > 45:
            yield f"{folder}/README.md is longer than 40 lines"
    allowed = {"tui", "proxy", "store", "tests", "themes", "Makefile", "README.md", "LICENSE"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for top in {line.split("/")[0] for line in tracked.splitlines()}:
        if not top.startswith(".") and top not in allowed:
            yield f"{top} lies at the top"


def check_headers_alone():
    flags = subprocess.run(["pkg-config", "--cflags", "libmicrohttpd", "libcurl", "sqlite3", "libcjson",
                            "ncursesw", "libsodium", "libzstd", "yaml-0.1"], capture_output=True,
                           text=True).stdout.split()

    def compile_one(path):
        done = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-I.", "-Ibuild", "-fsyntax-only", "-x", "c",
                               *flags, path], cwd=ROOT, capture_output=True, text=True)
        return path if done.returncode else None
    with ThreadPoolExecutor(2) as pool:
        for bad in pool.map(compile_one, files(".h")):
            if bad:
                yield f"{bad} does not compile alone"


CHECKS = [("only allowed includes", check_includes), ("no banned calls", check_banned),
          ("SQL is bound, never formatted", check_sql), ("no promises without a date", check_words),
          ("files keep to their size", check_sizes), ("the tests' data is small and listed", check_fixtures),
          ("folders explain themselves", check_readmes),
          ("each header compiles alone", check_headers_alone)]


def main():
    return tap.run([(name, lambda check=check: list(check())) for name, check in CHECKS])


if __name__ == "__main__":
    sys.exit(main())
