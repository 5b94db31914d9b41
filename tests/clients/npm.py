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
FOLDER = os.path.join(BUILD if BUILD.endswith("build") else os.path.join(ROOT, "build"), "clients")


def install():
    """The folder, and why there is none (or None)."""
    if not shutil.which("node") or not shutil.which("npm"):
        return FOLDER, "node and npm are not installed"
    os.makedirs(FOLDER, exist_ok=True)
    if all(os.path.isdir(os.path.join(FOLDER, "node_modules", p)) for p in PACKAGES):
        return FOLDER, None
    with open(os.path.join(FOLDER, "package.json"), "w", encoding="utf-8") as f:
        json.dump({"private": True, "type": "module"}, f)
    try:
        done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES],
                              cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = 1
    return FOLDER, "npm could not install " + " ".join(PACKAGES) if code else None


def place_scripts(folder):
    """Modules find their packages from where they lie."""
    for script in glob.glob(os.path.join(HERE, "*.mjs")):
        shutil.copy(script, folder)
