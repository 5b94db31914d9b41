#!/usr/bin/env python3
"""tests/proofs.txt names tests that exist for every threat, and for scenarios and sentences that still stand as they are quoted."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

import tap  # noqa: E402

SHARED = os.environ.get("POINTSMAN_SHARED", os.path.join(os.path.dirname(ROOT), "shared"))
THREATS = {f"T{n}" for n in range(1, 35)}


def rows():
    with open(os.path.join(TESTS, "proofs.txt"), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                parts = [part.strip() for part in line.split(" | ")]
                yield (number, *(parts if len(parts) == 3 else ("", "", "")))


def exists(proof):
    path, _, name = proof.partition(" ")
    full = os.path.join(TESTS, path)
    if not os.path.isfile(full):
        return False
    if not name:
        return True
    with open(full, encoding="utf-8") as f:
        return re.search(rf"^(def|static void) {re.escape(name)}\(", f.read(), re.M) is not None


def proofs_exist():
    faults = []
    for number, place, words, proofs in rows():
        if not place or not words or not proofs:
            faults.append(f"line {number}: a line is PLACE | words | proofs")
        faults += [f"line {number}: there is no {p.strip()}" for p in proofs.split(";") if not exists(p.strip())]
    return faults


def every_threat_has_a_proof():
    missing = THREATS - {place for _, place, _, _ in rows()}
    return [f"no test is named for {', '.join(sorted(missing))}"] if missing else []


def section(text, number):
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", text, re.M | re.S)
    return " ".join(found.group().split()) if found else ""


def words_stand_in_their_page():
    pages = {}
    for name in ("reliability.md", "interface.md", "pain.md"):
        path = os.path.join(SHARED, name)
        if not os.path.isfile(path):
            raise tap.Skip("the pages are not here")
        with open(path, encoding="utf-8") as f:
            pages[name] = f.read()
    faults = []
    for number, place, words, _ in rows():
        page = (section(pages["pain.md"], 7) if place == "P" else section(pages["interface.md"], place)
                if place.isdigit() else pages["reliability.md"])
        if words not in " ".join(page.split()):
            faults.append(f"line {number}: \"{words}\" stands nowhere in its page")
    return faults


CHECKS = [proofs_exist, every_threat_has_a_proof, words_stand_in_their_page]

if __name__ == "__main__":
    sys.exit(tap.run([tap.test(check) for check in CHECKS]))
