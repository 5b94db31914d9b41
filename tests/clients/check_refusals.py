#!/usr/bin/env python3
"""Budgets and limits that are hit, seen through the official SDKs of OpenAI, Anthropic and Google. Without node, npm
or a registry the suite skips and says so. Prints TAP."""
import os
import subprocess
import sys

from gateway import Gateway
from npm import install, node, place_scripts

CLIENTS = ("openai-chat", "openai-responses", "-anthropic-ai-sdk", "-google-genai")
CONFIG = """
providers:
  lab: { dialect: openai, base_url: 'http://127.0.0.1:{mock}/v1', api_key: env:LAB_KEY, models: [plain, wait-700ms] }
prices:
  lab/*: { input: 1, output: 2 }
keys:
  few: { secret: refusals-few-0123456789abcdef, tpm: 50 }
  paused: { secret: refusals-paused-0123456789abcdef, paused: true }
"""


def config():
    text = CONFIG
    for client in CLIENTS:
        for name, limit in ((f"slow-{client}", "rpm: 1"), (f"slow-{client}-stream", "rpm: 1"), (f"one-{client}", "concurrent: 1"),
                            (f"cut-{client}", "budget: { total: $0.0016 }"),
                            (f"poor-{client}", "budget: { day: $0.0009, total: $5 }"),
                            (f"poor-{client}-stream", "budget: { day: $0.0009, total: $5 }")):
            text += f"  {name}: {{ secret: refusals-{name}-0123456789abcdef, {limit} }}\n"
    return text


def main():
    folder, trouble = install("npm")
    if trouble:
        print(f"1..1\nok 1 - SDKs from npm # SKIP {trouble}")
        return 0
    place_scripts(folder)
    with Gateway(config(), {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        done = subprocess.run([node(folder), os.path.join(folder, "refusals.mjs"), g.url], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    return done.returncode or g.code


if __name__ == "__main__":
    sys.exit(main())
