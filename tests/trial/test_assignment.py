"""The boot line of a trial."""

from __future__ import annotations

from lab.trial.assignment import boot_words


def test_boot_words() -> None:
    assert boot_words({"run": "ab", "seconds": "3"}) == "mmx.run=ab mmx.seconds=3"
