# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles for tests: recorded ones beside this file, and made-up ones by ``record``."""

from __future__ import annotations

import zlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "consoles"


def record(seq: int, type_: str, **fields: object) -> bytes:
    """One record as the stress program writes it, CRC and all."""
    words = "".join(f" {key}={value}" for key, value in fields.items())
    body = f"@mmx {seq} {type_}{words}".encode()
    return b"\n%s #%08x\r\n" % (body, zlib.crc32(body))


def console(
    *,
    nonce: str = "cafe",
    xen: str = "pv",
    fpu: str = "lazy",
    fpuhow: str = "version",
    release: str = "3.19.8",
    control: str = "none",
    windows: int = 5000,
    checks: int = 9000,
    corruptions: int = 0,
    hits: int | None = None,
    end: bool = True,
    caught: int = 8,
    inject: int = 0,
    dom0: int = 0,
    status: str = "ok",
    pressure: int = 0,
    pressed: int = 0,
) -> bytes:
    """A whole trial's console with what a test wants to differ."""
    counts = {"windows": windows, "checks": checks, "corruptions": corruptions}
    counts["hits"] = corruptions if hits is None else hits
    said: list[tuple[str, dict[str, object]]] = [
        ("start", {"version": 1, "run": nonce, "inject": inject, "pressure": pressure}),
        (
            "env",
            {
                "release": release,
                "xen": xen,
                "dom0": dom0,
                "fpu": fpu,
                "fpuhow": fpuhow,
                "control": control,
            },
        ),
        ("selftest", {"role": "victim", "checks": 8, "caught": caught}),
        ("selftest", {"role": "opener", "checks": 8, "caught": 8}),
    ]
    if corruptions:
        said.append(
            ("corrupt", {"t": "0.400000", "role": "victim", "reg": "mm3", "owner": "opener/7"})
        )
    said.append(("progress", {"t": "1.000000", **counts}))
    if end:
        ending = {"status": status, "reason": "asked", "pressed": pressed}
        said.append(("end", {"t": "12.000000", **counts, **ending}))
    return b"".join(record(seq, type_, **fields) for seq, (type_, fields) in enumerate(said))
