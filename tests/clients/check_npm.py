#!/usr/bin/env python3
"""The official OpenAI SDK against the gateway, closely: aborts, timeouts, retries, cuts. Without node,
npm or a registry the suite skips and says so. Prints TAP."""
import os
import subprocess
import sys

from gateway import Gateway
from npm import install, node, place_scripts

CONFIG = """
providers:
  lab:
    dialect: openai
    base_url: http://127.0.0.1:{mock}/v1
    api_key: env:LAB_KEY
    models: [plain]
"""


def main():
    folder, trouble = install("npm")
    if trouble:
        print(f"1..1\nok 1 - SDKs from npm # SKIP {trouble}")
        return 0
    place_scripts(folder)
    with Gateway(CONFIG, {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        done = subprocess.run([node(folder), os.path.join(folder, "openai.mjs"), g.url], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    if "Sanitizer" in g.text:
        print("not ok - no sanitizer line\n# " + g.text.replace("\n", "\n# "))
    return done.returncode or g.code


if __name__ == "__main__":
    sys.exit(main())
