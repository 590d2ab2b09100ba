# SPDX-License-Identifier: GPL-2.0-or-later
"""Many boots of a board in a row, with nobody looking: `python -m tests.boots --count 100`.

The smallest honest cell, a native control booted by network, by `lab run`; on the board of
tests/helpers/metal.py, or with -c and --cell on one of yours. It prints every boot that was not
CLEAN, the seconds of a boot, and where they go. 1 when a boot failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import yaml

from lab.evidence.run import RunFolder
from lab.page.schedule import read_spans
from lab.report.board import Span
from lab.verdict.severity import Verdict
from tests.helpers.metal import open_metal
from tests.helpers.project import PROJECT

CELL = "native-control-bad@rack1"
# What the board does itself; all other seconds of a boot are the lab's, its power control's among
# them.
_ITS_OWN = ("booting", "stressing")
_MOST_RUNS = 20  # a run ends at its second LAB_ERROR, and another one goes on


@contextlib.contextmanager
def open_emulated(folder: Path) -> Iterator[Path]:
    """The lab.yaml of a board without hardware, which is there while the block runs."""
    (folder / "metal").mkdir()
    with open_metal(folder / "metal") as metal:
        path = folder / "lab.yaml"
        text = {
            "boards": {"rack": metal.describe()},
            "hosts": {"rack1": {"board": "rack", "boot_seconds": 300}},
            "kernels": {"control-bad": {"control": "bad", "args": "no_timer_check"}},
            "matrix": {"guests": ["native"], "hosts": ["rack1"]},
        }
        path.write_text(yaml.safe_dump(text))
        yield path


def write_config(path: Path, cell: str, count: int, seconds: int) -> Path:
    """``path`` with as many boots of the cell, and no control: it shows a machine, not a kernel."""
    text = yaml.safe_load(path.read_text())
    text["trials"] = count
    text["confidence"] = {"max_boots": max(count, 1)}
    text["stress"] = {"seconds": seconds}
    text["expect"] = {"corrupts": [], "clean": [cell]}
    made = path.with_name("boots.yaml")
    made.write_text(yaml.safe_dump(text))
    return made


def run(config: Path, cell: str, results: Path) -> tuple[RunFolder, float]:
    """`lab run` of the cell: its folder, and seconds. The configuration goes: the folder has it."""
    began = time.monotonic()
    words = [sys.executable, "-m", "lab", "run", cell, "-c", config, "--results", results]
    try:
        subprocess.run([*map(str, words)], cwd=PROJECT, check=False)
    finally:
        config.unlink()
    return RunFolder.open(results / "latest"), time.monotonic() - began


def find_failures(folder: RunFolder, cell: str) -> tuple[int, list[str]]:
    """How many boots have a verdict, and a line for each that is not CLEAN."""
    boots, failures = 0, []
    for trial in folder.trials(cell):
        verdict = trial.verdict()
        if verdict is None:
            continue
        boots += 1
        if verdict["verdict"] != Verdict.CLEAN.value:
            failures.append(f"{trial.path}: {verdict['verdict']}: {verdict['reason']}")
    return boots, failures


def add_up(spans: Sequence[Span], cell: str) -> dict[str, list[float]]:
    """Seconds of each boot but the last of a run, by what they go to: pure.

    ``between boots`` goes up to the next one's begin; "before" and "after" a boot are the two
    times that the board is switched off.
    """
    found: dict[str, list[float]] = defaultdict(list)
    boots: dict[int, list[Span]] = defaultdict(list)
    for span in spans:
        if span.name == cell and span.boot:
            boots[span.boot].append(span)
    for number, mine in sorted(boots.items()):
        mine.sort(key=lambda span: span.begin)
        following = boots.get(number + 1)
        if not following or not set(_ITS_OWN) <= {span.state for span in mine}:
            continue
        for place, span in enumerate(mine):
            when = " before" if place == 0 else " after" if span.state == mine[0].state else ""
            found[span.state + when].append(span.end - span.begin)
        begin = min(span.begin for span in following)
        own = sum(span.end - span.begin for span in mine if span.state in _ITS_OWN)
        found["between boots"].append(begin - mine[-1].end)
        found["the board's own"].append(own)
        found["the lab's"].append(begin - mine[0].begin - own)
        found["a whole boot"].append(begin - mine[0].begin)
    return found


def show(seconds: dict[str, list[float]]) -> None:
    """A table."""
    width = max(map(len, seconds), default=0)
    print(f"\n{'seconds of a boot':<{width}}  median   least    most   boots")
    for what, found in seconds.items():
        figures = f"{median(found):7.2f} {min(found):7.2f} {max(found):7.2f}"
        print(f"{what:<{width}} {figures} {len(found):7}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=4, help="of stress in a boot, at most")
    parser.add_argument("-c", "--config", type=Path, help="lab.yaml with a board of yours")
    parser.add_argument("--cell", default=CELL)
    parser.add_argument("--results", type=Path, help="where the evidence is kept")
    args = parser.parse_args()
    boots, failures, seconds, total = 0, list[str](), defaultdict[str, list[float]](list), 0.0
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-boots-")))
        config = args.config or stack.enter_context(open_emulated(scratch))
        results = args.results or scratch / "results"
        for _ in range(_MOST_RUNS):
            made = write_config(config, args.cell, args.count - boots, args.seconds)
            folder, taken = run(made, args.cell, results)
            more, bad = find_failures(folder, args.cell)
            boots, failures, total = boots + more, failures + bad, total + taken
            for what, found in add_up(read_spans(folder.read("schedule.json")), args.cell).items():
                seconds[what] += found
            if boots >= args.count or not more:
                break
    print(f"\n{boots} boots in {total:.0f} s, {len(failures)} failed; ", end="")
    print(f"load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("\n".join(failures))
    show(seconds)
    return int(bool(failures) or boots < args.count)


if __name__ == "__main__":
    sys.exit(main())
