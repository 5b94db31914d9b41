"""The packages from npm that the clients need, installed once into build/clients."""
import glob
import json
import os
import shutil
import subprocess

from gateway import BUILD, ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["openai", "@anthropic-ai/sdk", "@google/genai", "ai", "@ai-sdk/openai", "@ai-sdk/anthropic",
            "@ai-sdk/google", "@ai-sdk/openai-compatible", "@langchain/openai", "@langchain/core"]
HOME = BUILD if BUILD.endswith("build") else os.path.join(ROOT, "build")


def install_into(name, packages, seconds):
    """The folder below the build, and why there is none (or None)."""
    folder = os.path.join(HOME, name)
    if not shutil.which("node") or not shutil.which("npm"):
        return folder, "node and npm are not installed"
    os.makedirs(folder, exist_ok=True)
    if all(os.path.isdir(os.path.join(folder, "node_modules", p)) for p in packages):
        return folder, None
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as f:
        json.dump({"private": True, "type": "module"}, f)
    try:
        done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                               "--fetch-retry-mintimeout=2000", "--fetch-timeout=60000", *packages],
                              cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = 1
    return folder, "npm could not install " + " ".join(packages) if code else None


def install():
    return install_into("clients", PACKAGES, 240)


def place_scripts(folder):
    """Modules find their packages from where they lie."""
    for script in glob.glob(os.path.join(HERE, "*.mjs")):
        shutil.copy(script, folder)
