#!/usr/bin/env python3
"""Coding agents through `pointsman run`, with a provider of each dialect behind them.

task    a task that needs a command run, answered by each dialect in turn. The proof is the file that
        the command leaves, and that the agent tells what the command said.
switch  the same with two commands: while the first one's answer is given, a person throws the switch
        (`pointsman route switch`), and the next turn goes to a provider of another dialect. The agent
        ends its task as if nothing had happened.

The programs are large (1.3 GB installed), so this is part of `make soak`, not of `make check`; npm puts
them into build/agents once. Without npm or a registry it skips and says so. Prints TAP.

    agents.py [--folder FOLDER] [AGENT-PART [PROVIDER]]"""
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

from gateway import BUILD, Gateway
from npm import install, node, tell_versions
from provider import Provider

PROVIDERS = {"chat": ("openai", "/v1"), "responses": ("openai_responses", "/v1"),
             "anthropic": ("anthropic", ""), "gemini": ("gemini", "/v1beta")}
SAID = "left proof {}"
# How each agent's shell is called, and how it wants its command.
SHELLS = {"Bash": lambda c: {"command": c, "description": "Leave a proof"},
          "bash": lambda c: {"command": c, "description": "Leave a proof"},
          "run_shell_command": lambda c: {"command": c, "description": "Leave a proof"},
          "exec": lambda c: {"input": f"const r = await tools.exec_command({json.dumps({'cmd': c})}); text(r)"},
          "exec_command": lambda c: {"cmd": c},
          "shell_command": lambda c: {"command": c},
          "shell": lambda c: {"command": ["bash", "-c", c]}}
TASK = "Leave a proof."
AGENTS = {
    "claude": ("@anthropic-ai/claude-code-linux-x64/claude", ["-p", TASK, "--allowedTools", "Bash"]),
    "codex": ("@openai/codex-linux-x64/vendor/*/bin/codex",
              ["exec", "--skip-git-repo-check", "-s", "danger-full-access", TASK]),
    "codex gpt-5": ("@openai/codex-linux-x64/vendor/*/bin/codex",
                    ["exec", "--skip-git-repo-check", "-s", "danger-full-access", "-m", "gpt-5", TASK]),
    "opencode": ("opencode-linux-x64/bin/opencode", ["run", "--model", "openai/gpt-4o", TASK]),
    "gemini": (".bin/gemini", ["-m", "gemini-2.5-pro", "--yolo", "-p", TASK]),
}
# What the next turn is answered by, after the first was answered by the other.
SWITCHES = {"claude": [("anthropic", "gemini"), ("chat", "anthropic"), ("anthropic", "responses")],
            "codex": [("responses", "anthropic"), ("anthropic", "chat"), ("gemini", "responses")],
            "opencode": [("chat", "gemini")], "gemini": [("gemini", "anthropic")]}


class Script:
    """What the model does: so many commands, then the end; `between` is done before the first answer."""

    def __init__(self):
        self.steps, self.between = 1, None

    def __call__(self, _model, asked):
        shell = next((t for t in asked.tools if t in SHELLS), None)
        done = sum("left proof" in r for r in asked.results.values())
        if shell and done < self.steps:
            if self.between:
                between, self.between = self.between, None
                between()
            command = f"touch proof{done} && echo {SAID.format(done)}"
            return [("think", "It wants a proof."), ("text", "I will leave one."),
                    ("call", shell, SHELLS[shell](command))]
        return [("text", f"There are {done} proofs." if shell else "A title")]


def config(port):
    rows = "".join(f"  {name}: {{ dialect: {dialect}, base_url: 'http://127.0.0.1:{port}{path}', "
                   f"api_key: env:LAB_KEY, models: [{name}-agent] }}\n"
                   for name, (dialect, path) in PROVIDERS.items())
    return "providers:\n" + rows + "routes:\n  smart: { targets: [chat/chat-agent] }\n"


def environment(home, work, program):
    beside = os.path.dirname(node(program.split("/node_modules/")[0]))
    path = [os.path.dirname(program), *([beside] if beside else []), os.environ["PATH"]]
    return dict(os.environ, HOME=home, PWD=work, CODEX_HOME=home, XDG_CONFIG_HOME=home, XDG_DATA_HOME=home,
                DISABLE_AUTOUPDATER="1", DISABLE_TELEMETRY="1", OPENCODE_DISABLE_AUTOUPDATE="1",
                OPENCODE_DISABLE_MODELS_FETCH="1", GEMINI_CLI_TRUST_WORKSPACE="true",
                PATH=":".join(path))


def settings(home):
    os.makedirs(os.path.join(home, ".gemini"))
    with open(os.path.join(home, ".gemini/settings.json"), "w", encoding="utf-8") as f:
        json.dump({"security": {"auth": {"selectedType": "gemini-api-key"}},
                   "privacy": {"usageStatisticsEnabled": False}}, f)


def run(g, program, words, model, steps):
    """What went wrong, or None."""
    with tempfile.TemporaryDirectory(prefix="pointsman-agent-") as home:
        work = os.path.join(home, "work")
        os.mkdir(work)
        settings(home)
        command = [os.path.join(BUILD, "pointsman"), "run", "--data", g.data, "--model", model, "--",
                   program, *words]
        child = subprocess.Popen(command, cwd=work, env=environment(home, work, program),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            text = child.communicate(timeout=90)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            return child.communicate()[0].decode("utf-8", "replace") + "\ntook over 90 s"
        missing = [i for i in range(steps) if not os.path.exists(os.path.join(work, f"proof{i}"))]
        if missing:
            return text + f"\nnot run: {missing}"
        return None if child.returncode == 0 and f"There are {steps} proofs." in text else text


def tell(name, trouble, began):
    print(f"{'not ok' if trouble else 'ok'} - {name} ({time.monotonic() - began:.0f} s)", flush=True)
    if trouble:
        print("# " + trouble[-2500:].replace("\n", "\n# "), flush=True)
    return bool(trouble)


def asked_in(p, want, agent):
    """An OpenAI provider hears Responses as they come: Codex speaks them itself."""
    native = {"chat": "responses"} if agent.startswith(("codex", "opencode")) else {}
    wrong = [d for d, _, _ in p.seen if d not in {native.get(w, w) for w in want} | set(want)]
    return f"the provider was asked in {wrong}" if wrong or not p.seen else None


def task(g, p, script, agent, program, words, provider):
    began = time.monotonic()
    p.seen.clear()
    script.steps, script.between = 1, None
    trouble = run(g, program, words, provider + "-agent", 1) or asked_in(p, [provider], agent)
    return tell(f"{agent} × {provider}: a task with a command", trouble, began)


def switch(g, p, script, agent, program, words, first, then):
    began = time.monotonic()
    p.seen.clear()
    said = []

    def throw():
        done = g.cli("route", "switch", "smart", f"{then}/{then}-agent")
        said.append(done.stdout.decode() if done.returncode else "")
    g.cli("route", "switch", "smart", f"{first}/{first}-agent")
    script.steps, script.between = 2, throw
    trouble = run(g, program, words, "smart", 2) or asked_in(p, [first, then], agent)
    trouble = trouble or "".join(said) or (None if said else "the switch was never thrown")
    turns = [d for d, _, b in p.seen if any(s in json.dumps(b) for s in SHELLS)]
    if not trouble and len(set(turns)) < 2:
        trouble = f"both turns were answered by {turns}"
    return tell(f"{agent}: {first}, then {then}, in mid-task", trouble, began)


def cells(g, p, script, folder, only):
    failed = 0
    for agent, (where, words) in AGENTS.items():
        found = glob.glob(os.path.join(folder, "node_modules", where))
        if only and only[0] not in agent:
            continue
        if not found:
            print(f"ok - {agent} # SKIP it is not in {folder}", flush=True)
            continue
        for provider in only[1:] or PROVIDERS:
            failed += task(g, p, script, agent, found[0], words, provider)
        for first, then in [] if only[1:] else SWITCHES.get(agent, []):
            failed += switch(g, p, script, agent, found[0], words, first, then)
    return failed


def main():
    words = sys.argv[1:]
    if words and words[0] == "--folder":
        folder, trouble = os.path.abspath(words[1]), None
        words = words[2:]
    else:
        folder, trouble = install("agents")
    if trouble:
        print(f"1..1\nok 1 - coding agents # SKIP {trouble}")
        return 0
    tell_versions("agents")
    script = Script()
    with Provider(script) as p, Gateway(config(p.port), {"LAB_KEY": "sk-lab-0123456789abcdef0123"}) as g:
        failed = cells(g, p, script, folder, words)
    print(f"{'ok' if g.code == 0 else 'not ok'} - the gateway ends with 0 ({g.code})")
    if g.code or failed:
        print("# " + g.text[-3000:].replace("\n", "\n# "))
    return failed or g.code


if __name__ == "__main__":
    sys.exit(main())
