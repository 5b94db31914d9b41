#!/usr/bin/env python3
"""What `make install` lays down: all of it below PREFIX, a manual and a completion that say every verb, a service that
systemd understands. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import tap  # noqa: E402

BUILD = os.environ.get("POINTSMAN_BUILD", os.path.join(ROOT, "build"))
BINARY = os.environ.get("POINTSMAN_BIN", os.path.join(BUILD, "pointsman"))


def run(*words, **more):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, **more)


def verbs():
    with open(os.path.join(ROOT, "tui/commands.def"), encoding="utf-8") as f:
        return re.findall(r'^X\("([^"]+)"', f.read(), re.M)


def everything_lies_below_the_prefix(place):
    found = {os.path.relpath(os.path.join(folder, name), place) for folder, _, names in os.walk(place) for name in names}
    themes = {f"usr/share/pointsman/themes/{name}" for name in os.listdir(os.path.join(ROOT, "themes"))
              if name.endswith(".theme")}
    wanted = themes | {"usr/bin/pointsman", "usr/share/man/man1/pointsman.1", "usr/lib/systemd/system/pointsman.service",
                       "usr/share/bash-completion/completions/pointsman"}
    assert found == wanted, found ^ wanted
    assert run(os.path.join(place, "usr/bin/pointsman"), "version").returncode == 0


def the_manual_says_every_verb(place):
    page = os.path.join(place, "usr/share/man/man1/pointsman.1")
    with open(page, encoding="utf-8") as f:
        text = f.read().replace("\\-", "-")
    for verb in verbs():
        assert f".B {verb}" in text, verb
    assert ".SH EXIT STATUS" in text
    if shutil.which("groff"):
        said = run("groff", "-Kutf8", "-man", "-Tutf8", "-ww", "-z", page).stdout
        assert "warning" not in said, said


def the_completion_offers_every_verb(place):
    if not shutil.which("bash"):
        raise tap.Skip("no bash")
    script = ('. "$0"; '
              'for two in "$@"; do COMP_WORDS=(pointsman $two ""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); '
              '_pointsman; printf "%s " "${COMPREPLY[@]}"; done')
    done = run("bash", "-c", script, os.path.join(place, "usr/share/bash-completion/completions/pointsman"), "", "route")
    words = done.stdout.split()
    missing = [v for v in verbs() if v.split()[0] not in words]
    missing += [v for v in verbs() if v.startswith("route ") and v.split()[1] not in words]
    assert not missing, (missing, done.stdout)


def systemd_understands_the_service(place):
    if not shutil.which("systemd-analyze"):
        raise tap.Skip("no systemd-analyze")
    unit = os.path.join(place, "usr/lib/systemd/system/pointsman.service")
    with open(unit, encoding="utf-8") as f:
        text = f.read()
    assert "@" not in re.sub(r"@[a-z-]+service", "", text.split("[Service]")[1]), "a mark was not filled in"
    copy = os.path.join(place, "pointsman.service")  # its program is not in /usr here
    with open(copy, "w", encoding="utf-8") as f:
        f.write(text.replace("/usr/bin/pointsman", os.path.join(place, "usr/bin/pointsman")))
    done = run("systemd-analyze", "verify", copy)
    os.unlink(copy)
    said = [line for line in done.stdout.splitlines() if "pointsman.service" in line and "Unit" not in line]
    assert not said, done.stdout


def main():
    place = tempfile.mkdtemp(prefix="pm-install-")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "CI")}
    done = run("make", "-o", "all", "install", f"DESTDIR={place}", "PREFIX=/usr", f"BUILD={BUILD}", cwd=ROOT, env=env)
    if done.returncode:
        print("# " + done.stdout.replace("\n", "\n# "))
    failed = tap.run([tap.test(check, place) for check in (
        everything_lies_below_the_prefix, the_manual_says_every_verb, the_completion_offers_every_verb,
        systemd_understands_the_service)])
    shutil.rmtree(place, ignore_errors=True)
    return failed or done.returncode


if __name__ == "__main__":
    sys.exit(main())
