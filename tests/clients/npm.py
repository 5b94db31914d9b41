"""The clients that the tests run, as versions.tsv names them: npm puts each group into a folder below build once.
With SDK=latest the newest are taken instead, into a folder of their own.

    folder, trouble = install("npm")          # trouble: why there are none, or None
    subprocess.run([node(folder), …])"""
import glob
import json
import os
import platform
import shutil
import subprocess

from gateway import BUILD, ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = BUILD if BUILD.endswith("build") else os.path.join(ROOT, "build")
NEWEST = os.environ.get("SDK") == "latest"
FOLDERS = {"npm": "clients", "agents": "agents", "pypi": "pypi"}
SECONDS = {"npm": 300, "agents": 900}


def pinned(group):
    """[(package, version)] of versions.tsv; version "latest" where the newest are asked for."""
    with open(os.path.join(HERE, "versions.tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    return [(name, "latest" if NEWEST and group != "node" else version) for kind, name, version in rows if kind == group]


def folder_of(group):
    return os.path.join(HOME, FOLDERS[group] + ("-latest" if NEWEST else ""))


def node_package():
    """The node that is to be installed beside, where the system's is older."""
    (name, version), = pinned("node")
    done = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, check=False)
    if int(done.stdout.decode().strip("v \n").split(".")[0] or 0) >= int(version.split(".")[0]):
        return []
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return [(f"{name}-{machine}", version)]


def node(folder):
    found = glob.glob(os.path.join(folder, "node_modules/node-linux-*/bin/node"))
    return found[0] if found else "node"


def is_there(folder, name, version):
    try:
        with open(os.path.join(folder, "node_modules", name, "package.json"), encoding="utf-8") as f:
            return version in ("latest", json.load(f)["version"])
    except OSError:
        return False


def install(group):
    folder = folder_of(group)
    if not shutil.which("node") or not shutil.which("npm"):
        return folder, "node and npm are not installed"
    packages = pinned(group) + node_package()
    os.makedirs(folder, exist_ok=True)
    if all(is_there(folder, *p) for p in packages):
        return folder, None
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as f:
        json.dump({"private": True, "type": "module"}, f)
    words = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
             "--fetch-retry-mintimeout=2000", "--fetch-timeout=60000", *[f"{n}@{v}" for n, v in packages]]
    try:
        code = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS[group], check=False).returncode
    except subprocess.TimeoutExpired:
        code = 1
    return folder, "npm could not install " + " ".join(n for n, _ in packages) if code else None


def tell_versions(group):
    """A line of the test's output: what was tried."""
    rows = [f"{name} {version}" for name, version in pinned(group)]
    print("# tried: " + ", ".join(rows), flush=True)


def place_scripts(folder):
    """Modules find their packages from where they lie."""
    for script in glob.glob(os.path.join(HERE, "*.mjs")):
        shutil.copy(script, folder)
