# SPDX-License-Identifier: GPL-2.0-or-later
"""No test touches its user's home, cache or results.

Tests that boot share the machine's cache: they would build kernels and images anew otherwise.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so do all that it starts: the lab, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _session_results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Before any fixture of a module: these run the lab too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield


@pytest.fixture(autouse=True)
def _own_folders(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A home, a cache and a results folder for each test that does not boot."""
    if request.node.get_closest_marker("boots"):
        return
    folder = tmp_path_factory.mktemp("own")
    (folder / "home").mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("LAB_CACHE", str(folder / "cache"))
    monkeypatch.setenv("LAB_RESULTS", str(folder / "results"))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cache(_own_folders: None) -> Path:
    """The test's own cache."""
    from lab.system.cache import cache_dir

    return cache_dir()
