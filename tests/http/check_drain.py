#!/usr/bin/env python3
"""A drain over real sockets: what its sheet foretells is what requests then meet, for routes, their rules,
switches and names asked without a route; it returns whole. Prints TAP."""
import os
import sys
import time
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import tap  # noqa: E402
from yard import Yard  # noqa: E402

ROUTES = """
  own:    { targets: [a/m, b/m] }
  alone:  { targets: [a/m] }
  behind: { targets: [b/m], fallback: [a/m] }
  ruled:
    rules:
      - { name: narrow, if: { session: "n*" }, use: a/m }
      - { name: wide, if: { session: "w*" }, use: [a/m, c/m] }
    targets: [b/m]
  helped:
    rules:
      - { if: { session: "n*" }, use: a/m }
    targets: [b/m]
    fallback: [c/m]
  other:  { targets: [c/m] }
"""
BY_ITSELF = {"own": "b/m", "behind": "b/m", "ruled, wide": "c/m", "helped, rule 1": "c/m"}
STUCK = {"alone", "ruled, narrow", "other, switched for session moved", "a/m"}


def moves(answer):
    return {m["route"]: (m["to"], m["by_itself"]) for m in answer["moves"]}


def went(y, model, session=""):
    try:
        return y.ask(model, session)[0]
    except urllib.error.HTTPError as error:
        return error.code


def met(y):
    """What requests meet, by the sheet's words."""
    return {"own": went(y, "own"), "behind": went(y, "behind"), "ruled, wide": went(y, "ruled", "w1"),
            "helped, rule 1": went(y, "helped", "n1"), "alone": went(y, "alone"), "a/m": went(y, "a/m"),
            "ruled, narrow": went(y, "ruled", "n1"), "other, switched for session moved": went(y, "other", "moved")}


def as_before(y):
    now = met(y)
    return set(now[k] for k in now if k not in ("behind",)) == {"a"} and now["behind"] == "b"


def the_sheet_foretells_what_requests_meet(y):
    y.run("route", "switch", "other", "a/m", "--session", "moved")
    assert as_before(y), met(y)
    dry = y.json("provider", "drain", "a", "--dry-run")
    told = moves(dry)
    for name in STUCK - {"other, switched for session moved"}:
        assert told[name] == ("", False), (name, told)
    # the switched session falls back on the route's own target
    assert told["other, switched for session moved"] == ("c/m", True), told
    assert {k: told[k][0] for k in BY_ITSELF} == BY_ITSELF and dry["nowhere"] == 3, dry
    assert as_before(y)
    assert moves(y.json("provider", "drain", "a")) == told
    now = met(y)
    for name, (to, _) in told.items():
        assert now[name] == (to.split("/")[0] or 503), (name, now, told)
    y.run("route", "undo")
    assert as_before(y), met(y)


def one_target_takes_what_has_nowhere_to_go_and_undo_takes_all_back(y):
    told = moves(y.json("provider", "drain", "a", "--to", "c/m", "--dry-run"))
    for name in ("alone", "ruled, narrow", "a/m"):
        assert told[name] == ("c/m", False), (name, told)
    assert told["own"] == ("b/m", True)
    y.run("provider", "drain", "a", "--to", "c/m")
    now = met(y)
    assert {now["alone"], now["ruled, narrow"], now["a/m"]} == {"c"} and now["own"] == "b", now
    assert went(y, "a/never-asked-before") == "c"
    record = y.lines("ps", "--limit", "1")[0]
    assert record["override"] == "drain of a" and record["target"] == "c/m", record
    why = y.json("route", "explain", "alone")
    assert "a is drained, what it had goes here" in str(why), why
    shown = next(p for p in y.lines("provider", "list") if p["name"] == "a")
    assert shown["state"] == "drained" and shown["drained_to"] == "c/m", shown
    y.run("route", "undo")
    assert as_before(y), met(y)


def it_returns_whole_after_its_time(y):
    y.run("provider", "drain", "a", "--to", "c/m", "--for", "2s")
    assert went(y, "alone") == "c"
    end = time.time() + 15
    while went(y, "alone") != "a" and time.time() < end:
        time.sleep(0.1)
    assert as_before(y), met(y)


def an_export_and_a_restart_keep_it(y):
    y.run("provider", "drain", "a", "--to", "c/m")
    exported = os.path.join(y.home, "exported.yaml")
    with open(exported, "w", encoding="utf-8") as f:
        f.write(y.run("config", "export"))
    y.stop()
    y.start()
    assert went(y, "alone") == "c" and went(y, "ruled", "n1") == "c"
    y.run("provider", "undrain", "a")
    assert went(y, "alone") == "a"
    y.stop()
    kept, y.base[2] = y.base[2], exported
    y.base[4] = os.path.join(y.home, "elsewhere")
    y.start()
    assert went(y, "alone") == "c" and went(y, "own") == "b", "the exported file drains it too"
    y.stop()
    y.base[2], y.base[4] = kept, os.path.join(y.home, "d")
    y.start()


def a_drain_to_itself_or_to_nothing_is_refused(y):
    for to, says in (("a/m", "is the provider to be drained"), ("alone", "is the provider to be drained"),
                     ("goal:cost", "not to a goal"), ("nowhere/m", "neither a route nor a model")):
        done = y.try_("provider", "drain", "a", "--to", to)
        assert done.returncode == 1 and says in done.stderr, (to, done)
    assert as_before(y), met(y)


def main():
    y = Yard(ROUTES)
    try:
        return tap.run([tap.test(check, y) for check in (
            the_sheet_foretells_what_requests_meet, one_target_takes_what_has_nowhere_to_go_and_undo_takes_all_back,
            it_returns_whole_after_its_time, an_export_and_a_restart_keep_it,
            a_drain_to_itself_or_to_nothing_is_refused)])
    finally:
        y.close()


if __name__ == "__main__":
    sys.exit(main())
