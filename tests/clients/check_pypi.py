#!/usr/bin/env python3
"""Clients down, providers across, with the SDKs from PyPI: the twin of check_table.py, the same cells.
They are installed once into build/pypi, an environment of their own; where pip can't reach an index
the suite skips and says so. Prints TAP.

    check_pypi.py [CLIENT [PROVIDER]]      only some cells"""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from check_table import CELLS, config, own_words
from gateway import Gateway
from npm import folder_of, pinned, tell_versions
from provider import Provider

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = ("chat", "responses", "anthropic", "gemini")


ASK = "import importlib.metadata as m; print([m.version(p) for p in {}])"


def is_there(python, packages):
    done = subprocess.run([python, "-c", ASK.format([p for p, _ in packages])], check=False, timeout=60,
                          capture_output=True)
    have = done.stdout.decode().strip()
    return have == str([v for _, v in packages]) or (have.startswith("[") and packages[0][1] == "latest")


def install():
    """The environment's Python, and why there is none (or None)."""
    folder, packages = folder_of("pypi"), pinned("pypi")
    python = os.path.join(folder, "bin", "python")
    words = [name if version == "latest" else f"{name}=={version}" for name, version in packages]
    try:
        if not os.path.exists(python):
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=60, capture_output=True)
        if not is_there(python, packages):
            subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "-q",
                            "--retries", "1", "--timeout", "10", *words], check=True, timeout=180,
                           capture_output=True)
    except (subprocess.SubprocessError, OSError):
        return python, "pip could not install " + " ".join(words)
    return python, None


def run(python, client, url, cells):
    done = subprocess.run([python, os.path.join(HERE, "pypi.py"), client, url, *cells],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=150, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def main():
    only = sys.argv[1:]
    python, trouble = install()
    if trouble:
        print(f"1..1\nok 1 - clients from PyPI # SKIP {trouble}")
        return 0
    tell_versions("pypi")
    jobs = [(c, [f"{provider}={what}" for (client, provider), what in CELLS.items()
                 if client == c and (len(only) < 2 or only[1] == provider)])
            for c in CLIENTS if not only or only[0] == c]
    failed = 0
    with Provider() as p, Gateway(config(p.port), {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        with ThreadPoolExecutor(2) as pool:
            for code, text in pool.map(lambda j: run(python, j[0], g.url, j[1]), jobs):
                failed += code != 0
                sys.stdout.write(text)
                sys.stdout.flush()
    failed += own_words(p.seen)
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    return failed or g.code


if __name__ == "__main__":
    sys.exit(main())
