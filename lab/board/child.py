# SPDX-License-Identifier: GPL-2.0-or-later
"""A question to a process of its own, which is ended at a deadline: libraries that speak to BMCs,
PDUs and coordinators keep threads, and several wait for ever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lab.errors import LabError
from lab.system.process import find_error, tie
from lab.system.project import PYTHON_PATH


def ask(
    module: str,
    request: dict[str, Any],
    limit: float,
    who: str,
    hide: Callable[[str], str] = str,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The answer of ``python -m module`` to a request, both JSON; by pipes, for secrets are in it.

    LabError when it does not answer within ``limit`` seconds, or fails; the sentence begins with
    ``who``. ``hide`` takes secrets out of what it printed.
    """
    path = os.pathsep.join(filter(None, [str(PYTHON_PATH), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            tie([sys.executable, "-m", module]),
            input=json.dumps(request).encode(), capture_output=True, timeout=limit,
            check=False, env={**os.environ, **(env or {}), "PYTHONPATH": path},
            process_group=0,  # a terminal's Ctrl-C does not stop it from switching off
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LabError(f"{who} did not answer within {limit:.0f} s") from None
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        raise LabError(f"{who} failed: {hide(find_error(said))}") from None
