#!/usr/bin/env python3
"""Clients down, providers across: real SDKs from npm, through the gateway, to a provider of each
dialect. A cell that is not in CELLS is not promised; what is listed is what the README says.
Without node, npm or a registry the suite skips and says so. Prints TAP.

    check_table.py [CLIENT-PART [PROVIDER]]      only some cells"""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from gateway import ROOT, Gateway
from npm import install, node, place_scripts, tell_versions
from provider import Provider

PROVIDERS = {"chat": ("openai", "/v1"), "responses": ("openai_responses", "/v1"),
             "anthropic": ("anthropic", ""), "gemini": ("gemini", "/v1beta"),
             "chat_only": ("openai", None)}
MODELS = ("hello", "system", "tool", "patch", "json", "think", "status-429", "status-400", "embed")
CLIENTS = {"chat.mjs": "chat", "langchain.mjs": "chat", "vercel_compatible.mjs": "chat",
           "responses.mjs": "responses", "vercel_openai.mjs": "responses", "anthropic.mjs": "anthropic",
           "vercel_anthropic.mjs": "anthropic", "gemini.mjs": "gemini", "vercel_google.mjs": "gemini"}
ALL = ("whole,stream,system,image,look,tools,toolstream,loop,loopstream,custom,customstream,parsed,parsedstream,think,"
       "thinkstream,count,models,embed,errors")
# What the client speaks, what the provider speaks: what is promised.
CELLS = {(client, provider): ALL for client in ("chat", "responses", "anthropic", "gemini")
         for provider in PROVIDERS}


def config(port):
    text = "providers:\n"
    for name, (dialect, path) in PROVIDERS.items():
        models = ", ".join(f"{name}-{m}" for m in MODELS)
        # What a host can't do is known by its name; a proxy leads that name to the lab.
        lab = f"'http://127.0.0.1:{port}"
        where = (f"base_url: {lab}{path}', api_key: env:LAB_KEY" if path is not None else
                 f"base_url: 'http://api.cerebras.ai/v1', api_key: client, proxy: {lab}'")
        text += f"  {name}: {{ dialect: {dialect}, {where}, models: [{models}] }}\n"
    return text


def run(folder, script, url, cells):
    done = subprocess.run([node(folder), os.path.join(folder, "table.mjs"), "./" + script, url, *cells],
                          cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=150,
                          env=dict(os.environ, LANGCHAIN_TRACING_V2="false"))
    return done.returncode, done.stdout.decode("utf-8", "replace")


def wanted(script, only):
    if only and only[0] not in script:
        return []
    spoken = CLIENTS[script]
    return [f"{provider}={what}" for (client, provider), what in CELLS.items()
            if client == spoken and (len(only) < 2 or only[1] == provider)]


def readme_agrees():
    """The table that people read has a row for each client, and promises no cell that isn't run."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        rows = [line.strip("| \n").split("|") for line in f if line.startswith("| `") and "=" in line]
    cells = [cell.strip() for row in rows for cell in row[2:]]
    good = len(rows) == len(CLIENTS) + 4 and len(cells) == 5 * len(rows) and set(cells) == {"=", "✓"}
    print(f"{'ok' if good else 'not ok'} - the README's table has {len(rows)} clients, each cell run")
    return not good


def own_words(seen):
    """No provider was asked in a dialect that isn't its own."""
    spoken = dict({name: (name,) for name in PROVIDERS}, chat=("chat", "responses"), chat_only=("chat",))
    wrong = set()
    for dialect, path, body in seen:
        model = body.get("model") or path.rsplit("/", 1)[1].split(":")[0]
        if dialect not in spoken[model.split("-")[0]]:
            wrong.add(f"{model} was asked in {dialect}")
    print(f"{'not ok' if wrong or not seen else 'ok'} - every provider was asked in its own dialect")
    for line in sorted(wrong):
        print("# " + line)
    return bool(wrong or not seen)


def main():
    folder, trouble = install("npm")
    if trouble:
        print(f"1..1\nok 1 - clients down, providers across # SKIP {trouble}")
        return 0
    place_scripts(folder)
    tell_versions("npm")
    jobs = [(s, wanted(s, sys.argv[1:])) for s in CLIENTS]
    failed = 0
    with Provider() as p, Gateway(config(p.port), {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        with ThreadPoolExecutor(2) as pool:
            for code, text in pool.map(lambda j: run(folder, j[0], g.url, j[1]), [j for j in jobs if j[1]]):
                failed += code != 0
                sys.stdout.write(text)
                sys.stdout.flush()
    failed += own_words(p.seen) + readme_agrees()
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    if "Sanitizer" in g.text:
        print("not ok - no sanitizer line\n# " + g.text.replace("\n", "\n# "))
    return failed or g.code


if __name__ == "__main__":
    sys.exit(main())
