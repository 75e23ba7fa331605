"""Fuzz every parser for a while: `python tests/fuzz/run.py --seconds 60 [TARGET ...]`.

With atheris (`pip install atheris`) the inputs are led by what they reach in the code, and those that reached something
new are kept in var/fuzz/TARGET for the next run; without it they are random changes of the seeds. An input that breaks
a promise is written to var/fuzz/TARGET-crash-* and ends with exit status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random

OUTPUT = Path("var/fuzz")


def main() -> int:
    """Run the targets one after the other, each in a process of its own; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random inputs")
    parser.add_argument("--alone", metavar="TARGET", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        return fuzz(options.alone, options.seconds, options.seed)
    names = options.targets or known_targets()
    failed = 0
    for name in names:
        again = [
            sys.executable,
            __file__,
            "--alone",
            name,
            "--seconds",
            str(options.seconds),
            "--seed",
            str(options.seed),
        ]
        done = subprocess.run(again, capture_output=True, text=True, check=False)
        failed += done.returncode != 0
        print(
            f"{name:16} {summary(done.stdout + done.stderr)} {'ok' if done.returncode == 0 else 'BROKEN'}", flush=True
        )
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-6000:], sep="\n")
    return 1 if failed else 0


def known_targets() -> list[str]:
    """Give the names of all targets."""
    from targets import TARGETS

    return list(TARGETS)


def summary(output: str) -> str:
    """Give how many inputs were tried, and how large the corpus is."""
    if own := re.search(r"^tried (.*)$", output, re.MULTILINE):
        return own[1]
    tried = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    corpus = re.findall(r"corp: (\d+)/", output)
    return f"{int(tried[1]) if tried else 0:>12,} inputs, corpus {corpus[-1] if corpus else '?'}, by atheris"


def fuzz(name: str, seconds: int, seed: int) -> int:
    """Fuzz one target in this process."""
    if importlib.util.find_spec("atheris") is None:
        return fuzz_by_mutation(name, seconds, seed)
    import atheris

    with atheris.instrument_imports(include=["firefly_core", "firefly_protocols", "firefly_gate"]):
        from targets import SEEDS, TARGETS
    corpus = OUTPUT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in SEEDS[name]:
        (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    arguments = [
        f"-max_total_time={seconds}",
        f"-seed={seed % 2**31}",
        "-max_len=9000",
        "-timeout=5",
        "-rss_limit_mb=2048",
    ]
    arguments += ["-print_final_stats=1", f"-artifact_prefix={OUTPUT}/{name}-", str(corpus)]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()
    return 0


def fuzz_by_mutation(name: str, seconds: int, seed: int) -> int:
    """Fuzz one target with random changes of its seeds."""
    from mutation import mutations
    from targets import SEEDS, TARGETS

    until = time.monotonic() + seconds
    target = TARGETS[name]
    for count, data in zip(itertools.count(1), mutations(SEEDS[name], Random(seed)), strict=False):
        try:
            target(data)
        except BaseException:
            OUTPUT.mkdir(parents=True, exist_ok=True)
            crash = OUTPUT / f"{name}-crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"
            crash.write_bytes(data)
            traceback.print_exc()
            print(f"broken by {crash}: {json.dumps(data.hex())}")
            return 1
        if count % 100 == 0 and time.monotonic() > until:
            print(f"tried {count:>12,} inputs, by mutation")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
