"""A gateway and a mock provider for a test, both on free ports, ended by their pids."""
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POINTSMAN_BUILD", os.path.join(ROOT, "build"))


class Gateway:
    """with Gateway(config) as g: g.url …; `{mock}` in the configuration becomes the mock's port."""

    def __init__(self, config, environment=None):
        self.config, self.environment = config, environment or {}

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pointsman-test-")
        self.mock = subprocess.Popen([os.path.join(BUILD, "tests/mock/mock")], stdout=subprocess.PIPE)
        self.mock_port = self.mock.stdout.readline().decode().strip().rsplit(":", 1)[1]
        path = os.path.join(self.folder, "config.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.config.replace("{mock}", self.mock_port))
        self.data = os.path.join(self.folder, "data")
        self.log = open(os.path.join(self.folder, "log"), "wb+")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "pointsman"), "serve", "--config", path, "--data", self.data,
             "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=self.log, env=dict(os.environ, **self.environment))
        line = self.process.stdout.readline().decode().strip()
        if not line.startswith("listening "):
            self.log.seek(0)
            raise RuntimeError("the gateway did not start: " + self.log.read().decode())
        self.url = line.split(" ", 1)[1]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.code = self.process.wait(40)
        finally:
            self.mock.terminate()
            self.mock.wait()
            self.log.seek(0)
            self.text = self.log.read().decode("utf-8", "replace")
            self.log.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def cli(self, *words):
        return subprocess.run([os.path.join(BUILD, "pointsman"), *words, "--data", self.data],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
