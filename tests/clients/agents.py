#!/usr/bin/env python3
"""Coding agents through `pointsman run`, with a provider of each dialect behind them: a task that needs a
command run. The proof is the file that the command leaves. The programs are large (700 MB installed),
so this is no part of `make check`: FOLDER is where npm put them. Prints TAP.

    npm install --ignore-scripts --prefix FOLDER @anthropic-ai/claude-code @openai/codex
    agents.py FOLDER [PROVIDER ...]"""
import glob
import os
import subprocess
import sys
import tempfile

from gateway import BUILD, Gateway
from provider import TEXT, Provider

PROVIDERS = {"chat": ("openai", "/v1"), "responses": ("openai_responses", "/v1"),
             "anthropic": ("anthropic", ""), "gemini": ("gemini", "/v1beta")}
COMMAND = "touch proof && echo left the proof"
# How each agent's shell is called, and how it wants its command.
SHELLS = {"Bash": lambda: {"command": COMMAND, "description": "Leave a proof"},
          "exec_command": lambda: {"cmd": COMMAND},
          "shell_command": lambda: {"command": COMMAND},
          "shell": lambda: {"command": ["bash", "-c", COMMAND]},
          "exec": lambda: {"input": f"const r = await tools.exec_command({{cmd: {COMMAND!r}}}); text(r)"}}
AGENTS = {"claude": ("node_modules/@anthropic-ai/claude-code-linux-x64/claude",
                     ["-p", "Leave a proof.", "--allowedTools", "Bash"]),
          "codex": ("node_modules/@openai/codex-linux-x64/vendor/*/bin/codex",
                    ["exec", "--skip-git-repo-check", "-s", "danger-full-access",
                     "Leave a proof."])}


def decide(_model, asked):
    shell = next((t for t in asked.tools if t in SHELLS), None)
    if shell and not asked.results:
        return [("text", "I will leave one."), ("call", shell, SHELLS[shell]())]
    told = " ".join(asked.results.values())
    return [("text", "The proof is there." if "left the proof" in told else TEXT)]


def config(port):
    rows = (f"  {name}: {{ dialect: {dialect}, base_url: 'http://127.0.0.1:{port}{path}', "
            f"api_key: env:LAB_KEY, models: [{name}-agent] }}\n"
            for name, (dialect, path) in PROVIDERS.items())
    return "providers:\n" + "".join(rows)


def run(g, program, words, model):
    with tempfile.TemporaryDirectory(prefix="pointsman-agent-") as home:
        work = os.path.join(home, "work")
        os.mkdir(work)
        env = dict(os.environ, HOME=home, CODEX_HOME=home, DISABLE_AUTOUPDATER="1", DISABLE_TELEMETRY="1",
                   PATH=os.path.dirname(program) + ":" + os.environ["PATH"])
        try:
            done = subprocess.run([os.path.join(BUILD, "pointsman"), "run", "--data", g.data, "--model",
                                   model, "--", program, *words], cwd=work, env=env, timeout=90,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            text = done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode("utf-8", "replace") + "\ntook over 90 s"
        if not os.path.exists(os.path.join(work, "proof")):
            return text + "\nthe command was not run"
        return None if done.returncode == 0 and "The proof is there." in text else text


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    failed = 0
    with Provider(decide) as p, Gateway(config(p.port), {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        for name, (where, words) in AGENTS.items():
            found = glob.glob(os.path.join(os.path.abspath(sys.argv[1]), where))
            if not found:
                print(f"ok - {name} # SKIP it is not in {sys.argv[1]}")
                continue
            for provider in sys.argv[2:] or PROVIDERS:
                p.seen.clear()
                trouble = run(g, found[0], words, provider + "-agent")
                asked = sorted({d for d, _, _ in p.seen})
                same = ["responses"] if name == "codex" and provider == "chat" else [provider]
                if not trouble and asked != same:  # an OpenAI provider hears responses as they come
                    trouble = f"the provider was asked in {asked}"
                failed += bool(trouble)
                print(f"{'not ok' if trouble else 'ok'} - {name} × {provider}: a task with a command", flush=True)
                if trouble:
                    print("# " + trouble[-1500:].replace("\n", "\n# "), flush=True)
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    if g.code or failed:
        print("# " + g.text[-3000:].replace("\n", "\n# "))
    return failed or g.code


if __name__ == "__main__":
    sys.exit(main())
