# SPDX-License-Identifier: GPL-2.0-or-later
"""The index's tables: the one owner of SQLite.

Several processes read and write one file. Readers see the state before or after a refresh, never
half of one (WAL); writers take turns. The file is an index and no evidence: one of another version
or a damaged one is made anew.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.history.gather import Record
from lab.history.label import Labelled, carry
from lab.history.result import Result, Run
from lab.system.cache import locked
from lab.verdict.severity import Verdict

VERSION = 2  # of the tables, and of what is read into them; another one: made anew
UNUSABLE = sqlite3.OperationalError  # a full or read-only disk, a writer that does not end
DAMAGED = sqlite3.DatabaseError  # of which the other one is a kind
_OURS = 0x6C616268  # application_id: "labh"
_PATIENCE_SECONDS = 60.0  # for another writer
_TABLES = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, folder TEXT NOT NULL, began TEXT NOT NULL, night TEXT, job TEXT,
    command TEXT NOT NULL, seconds REAL NOT NULL, ended INTEGER NOT NULL, removed INTEGER NOT NULL,
    stamp TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE results (
    run TEXT NOT NULL REFERENCES runs(id), position INTEGER NOT NULL, cell TEXT NOT NULL,
    host TEXT NOT NULL, verdict TEXT, reason TEXT NOT NULL, as_expected INTEGER NOT NULL,
    expected TEXT, windows INTEGER NOT NULL, hits INTEGER NOT NULL, corruptions INTEGER NOT NULL,
    boots TEXT NOT NULL, seconds REAL NOT NULL, control TEXT, inputs TEXT NOT NULL,
    label TEXT, known TEXT,
    PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE INDEX results_of_cell ON results (cell);
"""
_RUN = "id, folder, began, night, job, command, seconds, ended, removed"
_RESULT = (
    "run, folder, began, cell, host, verdict, reason, as_expected, night, job, expected, windows, "
    "hits, corruptions, boots, results.seconds, control, inputs, known"
)


class Store:
    """Raises UNUSABLE or DAMAGED; UserError for a database of something else."""

    def __init__(self, path: Path | None) -> None:
        """``path`` None: in memory, for this process alone."""
        self._database = sqlite3.connect(
            ":memory:" if path is None else path, timeout=_PATIENCE_SECONDS, isolation_level=None
        )
        try:
            self._prepare(path)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, path: Path | None) -> None:
        if self._is_ours():
            return
        if path is None:
            self._make_tables(path)
            return
        # The change to WAL does not wait for other processes.
        with locked(path.with_name(f".{path.name}.lock")):
            self._database.execute("PRAGMA journal_mode = WAL")
            self._make_tables(path)

    def _make_tables(self, path: Path | None) -> None:
        """Unless another process was quicker."""
        with self._writing():
            if self._is_ours():
                return
            tables = self._tables()
            if tables and self._ask("PRAGMA application_id") != _OURS:
                raise UserError(f"{path}: is a database of something else, not the lab's history")
            for name in tables:
                self._database.execute(f'DROP TABLE "{name}"')
            for statement in _TABLES.split(";"):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id = {_OURS}")
            self._database.execute(f"PRAGMA user_version = {VERSION}")

    def _is_ours(self) -> bool:
        """And has the tables of this version."""
        found = self._ask("PRAGMA application_id"), self._ask("PRAGMA user_version")
        return found == (_OURS, VERSION)

    def _ask(self, question: str) -> Any:
        return self._database.execute(question).fetchone()[0]

    def _tables(self) -> list[str]:
        """Those that refer to another one first."""
        found = self._database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return sorted(row[0] for row in found)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; all of the block or nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()

    def hold(self) -> None:
        """From now on reads see the tables as they are now, whatever other processes write."""
        self.let_go()
        self._database.execute("BEGIN")
        self._ask("SELECT COUNT(*) FROM runs")

    def let_go(self) -> None:
        """The end of that."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def stamps(self) -> dict[str, str]:
        """Of every run that the index has, by its id."""
        return dict(self._database.execute("SELECT id, stamp FROM runs"))

    def replace(self, records: Sequence[Record], gone: Sequence[str]) -> None:
        """Put these runs in the place of what the index has of them, and forget others."""
        with self._writing():
            cells: set[str] = set()
            for run in [*gone, *(record.run.id for record in records)]:
                found = self._database.execute("SELECT cell FROM results WHERE run = ?", (run,))
                cells.update(row[0] for row in found)
                self._database.execute("DELETE FROM results WHERE run = ?", (run,))
                self._database.execute("DELETE FROM runs WHERE id = ?", (run,))
            for record in records:
                self._add(record)
                cells.update(result.cell for result in record.results)
            for cell in sorted(cells):
                self._carry_labels(cell)

    def _add(self, record: Record) -> None:
        run = record.run
        row: list[Any] = [*vars(run).values(), record.stamp]
        self._insert("runs", row)
        for position, (result, label) in enumerate(zip(record.results, record.labels, strict=True)):
            verdict = result.verdict.value if result.verdict is not None else None
            self._insert("results", [
                run.id, position, result.cell, result.host, verdict, result.reason,
                result.as_expected, result.expected, result.windows, result.hits,
                result.corruptions, json.dumps(result.boots), result.seconds, result.control,
                json.dumps(result.inputs), label, None,
            ])  # fmt: skip

    def _insert(self, table: str, row: list[Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._database.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608

    def _carry_labels(self, cell: str) -> None:
        rows = self._database.execute(
            "SELECT run, position, verdict, reason, label FROM results "
            "JOIN runs ON runs.id = results.run WHERE cell = ? ORDER BY began, id, position",
            (cell,),
        ).fetchall()
        if not any(row[4] for row in rows):
            self._database.execute("UPDATE results SET known = NULL WHERE cell = ?", (cell,))
            return
        labelled = [Labelled(_verdict(row[2]), row[3], row[4]) for row in rows]
        self._database.executemany(
            "UPDATE results SET known = ? WHERE run = ? AND position = ?",
            [(known, row[0], row[1]) for known, row in zip(carry(labelled), rows, strict=True)],
        )

    def runs(self) -> list[Run]:
        """In the order of time."""
        rows = self._database.execute(f"SELECT {_RUN} FROM runs ORDER BY began, id")  # noqa: S608
        return [_make_run(row) for row in rows]

    def results(self, **wanted: str | None) -> list[Result]:
        """In the order of time, within a run in the plan's; ``wanted``: columns that must be so."""
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "1"
        rows = self._database.execute(
            f"SELECT {_RESULT} FROM results JOIN runs ON runs.id = results.run "  # noqa: S608
            f"WHERE {where} ORDER BY began, id, position",
            list(given.values()),
        )
        return [_make_result(row) for row in rows]

    def list_nights(self) -> list[str]:
        """In the order of time."""
        rows = self._database.execute(
            "SELECT night FROM runs WHERE night IS NOT NULL GROUP BY night ORDER BY night"
        )
        return [row[0] for row in rows]

    def list_cells(self) -> list[str]:
        """In the order of their first results."""
        rows = self._database.execute(
            "SELECT cell FROM results JOIN runs ON runs.id = results.run "
            "ORDER BY began, id, position"
        )
        return list(dict.fromkeys(row[0] for row in rows))


def _verdict(word: str | None) -> Verdict | None:
    return Verdict(word) if word is not None else None


def _make_result(row: tuple[Any, ...]) -> Result:
    boots = tuple((int(windows), int(hits)) for windows, hits in json.loads(row[14]))
    return Result(
        run=row[0], folder=row[1], began=row[2], cell=row[3], host=row[4],
        verdict=_verdict(row[5]), reason=row[6], as_expected=bool(row[7]), night=row[8],
        job=row[9], expected=row[10], windows=row[11], hits=row[12], corruptions=row[13],
        boots=boots, seconds=row[15], control=row[16], inputs=json.loads(row[17]), known=row[18],
    )  # fmt: skip


def _make_run(row: tuple[Any, ...]) -> Run:
    return Run(
        id=row[0], folder=row[1], began=row[2], night=row[3], job=row[4], command=row[5],
        seconds=row[6], ended=bool(row[7]), removed=bool(row[8]),
    )  # fmt: skip
