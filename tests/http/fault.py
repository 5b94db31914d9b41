"""The other side of tests/fault/fault.c: a gateway whose allocations fail and whose clocks jump on demand."""
import mmap
import os
import struct

import gateway

LIBRARY = os.path.join(gateway.BUILD, "tests", "fault", "fault.so")
FIELDS = ("left", "persistent", "hits", "calls", "wall_ms", "mono_us")  # int64 each, then where[200]


class Control:
    def __init__(self, path):
        with open(path, "wb") as f:
            f.write(b"\0" * 4096)
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4096)

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<q", self.page, 8 * FIELDS.index(name), value)

    def get(self, name):
        return struct.unpack_from("<q", self.page, 8 * FIELDS.index(name))[0]

    def where(self):
        return self.page[8 * len(FIELDS):8 * len(FIELDS) + 200].split(b"\0")[0].decode("ascii", "replace")

    def fail(self, nth, persistent):
        """The nth allocation from now on fails; `persistent`: and all after it."""
        self.set(hits=0, persistent=int(persistent))
        self.set(left=nth)

    def calm(self):
        """How many allocations failed since fail()."""
        self.set(left=0, persistent=0)
        return self.get("hits")


class Gateway(gateway.Gateway):
    def __init__(self):
        super().__init__()
        path = os.path.join(self.folder, "fault")
        self.control = Control(path)
        self.plain_env = dict(self.env)
        self.env.update(LD_PRELOAD=LIBRARY, POINTSMAN_FAULT=path)

    def command(self, *words, **more):
        kept, self.env = self.env, self.plain_env  # the gateway alone is to suffer
        try:
            return super().command(*words, **more)
        finally:
            self.env = kept


def usable():
    """A sanitizer brings an allocator of its own."""
    with open(gateway.BINARY, "rb") as f:
        data = f.read()
    return os.path.exists(LIBRARY) and b"__asan_init" not in data and b"__tsan_init" not in data
