# SPDX-License-Identifier: GPL-2.0-or-later
"""How many boots run side by side, by a machine's processors and memory."""

from __future__ import annotations

import pytest

from lab.config.lab import LabConfig
from lab.trial.limits import alone, guests_at_once, machines_at_once


@pytest.mark.parametrize(
    ("host", "guest_mib", "fits"),
    [
        ({}, 256, 2),
        ({"guests_at_once": 1}, 256, 1),
        ({"guests_at_once": 2}, 256, 2),
        ({"guests_at_once": 8}, 256, 2),  # two processors
        ({"guests_at_once": 8, "vcpus": 8}, 256, 6),  # 3072 MiB, of which dom0 has a third
        ({"guests_at_once": 8, "vcpus": 8, "memory_mib": 8192}, 256, 8),
        ({"guests_at_once": 8, "vcpus": 8}, 4096, 1),  # xl will say that it does not fit
    ],
)
def test_no_more_guests_at_once_than_the_host_holds(
    host: dict[str, int], guest_mib: int, fits: int
) -> None:
    config = LabConfig.model_validate(
        {
            "host": host,
            "guests": {"memory_mib": guest_mib},
            "kernels": {"control-bad": {"control": "bad"}},
        }
    )
    assert guests_at_once(config) == fits


@pytest.mark.parametrize(
    ("cores", "free_mib", "guest_mib", "beside_host", "fits"),
    [
        (2, 20_000, 256, False, 2),
        (64, 4_000, 256, False, 10),
        (64, 4_000, 256, True, 3),  # the host, and what fits into the 928 MiB beside it
        (64, 1_000, 4_096, False, 1),
        (64, 1_000, 4_096, True, 1),
        (1, 20_000, 256, True, 1),
    ],
)
def test_no_more_machines_at_once_than_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    free_mib: int,
    guest_mib: int,
    beside_host: bool,
    fits: int,
) -> None:
    monkeypatch.setattr("lab.trial.limits.cores", lambda: cores)
    monkeypatch.setattr("lab.trial.limits.available_mib", lambda: free_mib)
    config = LabConfig.model_validate(
        {"guests": {"memory_mib": guest_mib}, "kernels": {"control-bad": {"control": "bad"}}}
    )
    assert machines_at_once(config, beside_host) == fits


def test_emulated_svm_guests_have_the_host_to_themselves() -> None:
    assert [alone(kind, emulated=True) for kind in ("pv", "pvh", "hvm")] == [False, True, True]
    assert not alone("hvm", emulated=False)
