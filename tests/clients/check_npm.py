#!/usr/bin/env python3
"""Real SDKs from npm against the gateway. Packages are installed once into build/clients. Without
node, npm or a registry the suite skips and says so. Prints TAP."""
import json
import os
import shutil
import subprocess
import sys

from gateway import BUILD, ROOT, Gateway

PACKAGES = ["openai"]
CONFIG = """
providers:
  lab:
    dialect: openai
    base_url: http://127.0.0.1:{mock}/v1
    api_key: env:LAB_KEY
    models: [plain]
"""
HERE = os.path.dirname(os.path.abspath(__file__))


def install(folder):
    os.makedirs(folder, exist_ok=True)
    missing = [p for p in PACKAGES if not os.path.isdir(os.path.join(folder, "node_modules", p))]
    if not missing:
        return None
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as f:
        json.dump({"private": True, "type": "module"}, f)
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES],
                          cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
    return None if done.returncode == 0 else "npm could not install " + " ".join(missing)


def main():
    if not shutil.which("node") or not shutil.which("npm"):
        print("1..1\nok 1 - SDKs from npm # SKIP node and npm are not installed")
        return 0
    folder = os.path.join(BUILD if BUILD.endswith("build") else os.path.join(ROOT, "build"), "clients")
    trouble = install(folder)
    if trouble:
        print(f"1..1\nok 1 - SDKs from npm # SKIP {trouble}")
        return 0
    script = os.path.join(folder, "openai.mjs")
    shutil.copy(os.path.join(HERE, "openai.mjs"), script)
    with Gateway(CONFIG, {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        done = subprocess.run(["node", script, g.url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120)
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    if "Sanitizer" in g.text:
        print("not ok - no sanitizer line\n# " + g.text.replace("\n", "\n# "))
    return done.returncode or g.code


if __name__ == "__main__":
    sys.exit(main())
