"""A long run of the fuzzers, whose counts are in docs/fuzzing.md.

    nice python -m tests.fuzz [--seconds 20 --seed 1 --targets "HDF5 masks" COCO]

Each target is read for so many seconds. The exit status is 1 if an input was not refused cleanly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.runner import fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz, and print a line per target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="NAME")
    options = parser.parse_args()
    unclean: list[str] = []
    inputs = 0
    start = time.monotonic()
    print(f"{'target':24} {'inputs':>9} {'refused':>9} {'unclean':>8}")
    for name in options.targets:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            outcome = fuzz(TARGETS[name], Path(folder), options.seed, sys.maxsize, options.seconds)
        print(f"{name:24} {outcome.inputs:9,} {outcome.refused:9,} {len(outcome.unclean):8,}", flush=True)
        unclean += outcome.unclean
        inputs += outcome.inputs
    print(
        f"{inputs:,} inputs in {time.monotonic() - start:.0f} s, {len(unclean)} unclean", *unclean, sep="\n"
    )
    return bool(unclean)


if __name__ == "__main__":
    sys.exit(main())
