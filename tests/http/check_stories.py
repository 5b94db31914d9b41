#!/usr/bin/env python3
"""Plays the stories of this folder (*.case, see story.py for their language), four at once, and prints
TAP. Names, or parts of them, as arguments play only those; with -v a failed story shows the log."""
import concurrent.futures
import glob
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402
from story import Story  # noqa: E402


def play(path):
    started = time.monotonic()
    story = Story(path)
    return story, story.run(), time.monotonic() - started


def main():
    parts = [a for a in sys.argv[1:] if not a.startswith("-")]
    verbose = "-v" in sys.argv
    paths = [p for p in sorted(glob.glob(os.path.join(HERE, "*.case")))
             if not parts or any(part in os.path.basename(p) for part in parts)]
    if not gateway.present():
        print("not ok 1 - build/pointsman serve is not there")
        return 1
    failed = 0
    tap.plan(len(paths))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for number, (story, faults, took) in enumerate(pool.map(play, paths), 1):
            name = f"{os.path.basename(story.path)[:-5]}: {story.title}"
            failed += tap.line(number, name, faults, note=f"{took:.1f} s")
            if faults and verbose:
                print("    # log: " + story.log.replace("\n", "\n    # log: "))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
