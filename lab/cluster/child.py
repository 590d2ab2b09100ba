# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of its own for one attempt: `python -m lab.cluster.child`.

Reads from its input, as JSON, what to boot and in which folder; writes the ending. SIGTERM ends
the boot as an interrupted one. It dies with its worker, and QEMU with it.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.cluster.attempt import CONSOLE
from lab.console.watch import Ending
from lab.qemu import machine
from lab.system.deadline import Deadline


def boot(request: dict[str, Any], stop: threading.Event) -> Ending:
    """Boot in the folder, and watch the console there."""
    folder = Path(request["folder"])
    return machine.run(
        request["argv"],
        folder / CONSOLE,
        Deadline(request["seconds"]),
        lambda _look: None,
        stop,
        to_power_off=request["to_power_off"],
        folder=folder,
    )


def main() -> None:
    """One request, one answer."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    ending = boot(json.load(sys.stdin), stop)
    json.dump(asdict(ending), sys.stdout)


if __name__ == "__main__":
    main()
