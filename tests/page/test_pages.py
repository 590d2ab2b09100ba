# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of made-up runs: what is in them, and that nothing in them can act."""

from __future__ import annotations

import html
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.page.schedule import read_spans
from lab.page.trialpage import say_again
from lab.page.write import write_history, write_pages, write_run_pages
from lab.run.command import _write_pages
from tests.helpers.history import CONTROL, make_history
from tests.helpers.hostile import HostilePlace
from tests.helpers.project import PROJECT
from tests.helpers.runs import FakePlace, run_with, truth
from tests.pages import measure

VOID = {"meta", "link", "br", "img"}


class Check(HTMLParser):
    """Every element is closed; what it links to, its ids, and what could run are collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.active += [tag] if tag in ("script", "iframe", "object", "form", "style") else []
        for name, value in attrs:
            self.active += [name] if name.startswith("on") or name == "style" else []
            self.links += [value or ""] if name in ("href", "src") else []
            self.ids += [value or ""] if name == "id" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: Path) -> Check:
    text = page.read_text()
    found = Check()
    found.feed(text)
    assert found.open == []
    assert found.active == []
    assert len(found.ids) == len(set(found.ids))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]", text)
    assert "default-src 'none'" in text
    for link in found.links:
        path, _, place = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not place or f'id="{place}"' in target.read_text(), f"{page.name}: {link}"
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("pages")
        ran, _ = run_with(folder, patch, HostilePlace(truth), trials=2)
    write_run_pages(ran.folder.path)
    write_pages(ran.folder.path.parent)
    return ran.folder


def test_every_page_is_whole_and_every_link_leads_somewhere(run: RunFolder) -> None:
    pages = [*(run.path / "page").glob("*.html"), *(run.path.parent / "page").glob("*.html")]
    assert len(pages) == 1 + sum(len(run.trials(c["id"])) for c in run.plan()) + 1 + 2
    for page in pages:
        check(page)


def test_the_run_is_there_with_its_cells_boots_and_schedule(run: RunFolder) -> None:
    page = run.path / "page" / "index.html"
    text = html.unescape(page.read_text())
    for cell in run.plan():
        assert f'id="{cell["id"]}"' in text
        for trial in run.trials(cell["id"]):
            assert f"{cell['id']}.{trial.number}.html" in check(page).links
    assert "What ran beside what" in text
    assert "waiting for its control dom0-old" in text
    assert "Windows of dom0-old" in text


def test_hostile_words_are_there_as_text(run: RunFolder) -> None:
    text = (run.path / "page" / "dom0-old.1.html").read_text()
    assert r"\x1b[31m\u202e" in text
    assert "&lt;script&gt;" in text


def test_a_corruption_is_explained(run: RunFolder) -> None:
    text = html.unescape((run.path / "page" / "dom0-old.1.html").read_text())
    assert "victim looked at mm3 and found what opener 7 had loaded" in text
    assert 'id="failed"' in text


def test_pages_are_not_evidence(run: RunFolder) -> None:
    assert run.find_changes() == []


def test_the_start_page_has_the_run_in_one_sentence(run: RunFolder) -> None:
    text = html.unescape((run.path.parent / "page" / "index.html").read_text())
    assert f"Run {run.path.name}: 2 cells, all as expected." in text
    assert "✓ sees" in re.sub(r"<[^>]*>", "", text).replace("  ", " ")


def test_a_resumed_run_has_one_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    first = read_spans(ran.folder.read("schedule.json"))
    run_with(tmp_path, monkeypatch, FakePlace(truth), trials=3, folder=ran.folder)
    both = read_spans(ran.folder.read("schedule.json"))
    assert both[: len(first)] == first
    assert min(span.begin for span in both[len(first) :]) >= max(span.end for span in first)


def test_a_run_that_was_cut_off_has_pages(run: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "cut"
    shutil.copytree(run.path, copy)
    for name in ("summary.json", "schedule.json", "hashes.json"):
        (copy / name).unlink()
    trial = copy / "cells" / "dom0-old" / "1"
    for name in ("verdict.json", "ended.json", "records.jsonl"):
        (trial / name).unlink()
    page = write_run_pages(copy)
    assert "earlier version" in page.read_text()
    assert "interrupted" in (copy / "page" / "dom0-old.1.html").read_text()


def test_what_another_version_wrote_is_shown_as_far_as_it_is_known(
    run: RunFolder, tmp_path: Path
) -> None:
    copy = tmp_path / "results" / "other"
    shutil.copytree(run.path, copy)
    shutil.rmtree(copy / "page")
    (copy / "config.json").write_text('{"new_key": 1}')
    (copy / "cells" / "dom0-old" / "2" / "trial.json").unlink()
    write_pages(copy.parent)
    found = check(copy / "page" / "index.html")
    assert "dom0-old.1.html" in found.links
    assert "dom0-old.2.html" not in found.links
    assert "../../page/index.html" in found.links


def test_what_cannot_be_read_at_all_has_no_page_and_no_link(run: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "results" / "other"
    shutil.copytree(run.path, copy)
    shutil.rmtree(copy / "page")
    summary = json.loads((copy / "summary.json").read_text())
    summary["cells"][0]["trials"][0]["new_key"] = 1
    (copy / "summary.json").write_text(json.dumps(summary))
    check(write_pages(copy.parent))
    with pytest.raises(UserError, match="cannot be read by this version of the lab"):
        write_run_pages(copy)


def test_a_boot_that_can_be_replayed_says_how_and_has_its_diagram(
    run: RunFolder, tmp_path: Path
) -> None:
    copy = tmp_path / "kept"
    shutil.copytree(run.path, copy)
    (copy / "cells" / "dom0-old" / "1" / "replay.capsule").touch()
    write_run_pages(copy)
    page = copy / "page" / "dom0-old.1.html"
    said = html.unescape(page.read_text())
    drawn = "kept/page/dom0-old.1.trace"
    assert f"lab trace kept/cells/dom0-old/1 --output {drawn}, then lab page kept" in said
    assert check(page).links.count("dom0-old.1.trace.svg") == 0
    shutil.copy(PROJECT / "docs" / "trace.svg", tmp_path / f"{drawn}.svg")
    (tmp_path / f"{drawn}.txt").write_text("TS <mm0> \x1b[31m\n")
    write_run_pages(copy)
    assert check(page).links.count("dom0-old.1.trace.svg") == 1
    assert r"TS &lt;mm0&gt; \x1b[31m" in page.read_text()


def test_what_is_not_a_run_of_cells_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(UserError, match=r"has no plan\.json"):
        write_run_pages(tmp_path)
    with pytest.raises(UserError, match="is not a run's folder"):
        write_run_pages(tmp_path / "missing")


def test_a_quarter_of_nights_is_small_and_grows_slowly(tmp_path: Path) -> None:
    assert measure(90, 50, tmp_path).size < 2 << 20
    sizes = {}
    for nights in (1, 30, 90, 400):
        (tmp_path / str(nights)).mkdir()
        sizes[nights] = measure(nights, 6, tmp_path / str(nights)).size
    grown = [(sizes[b] - sizes[a]) / (b - a) for a, b in pairwise(sizes)]
    assert grown[0] > 2 * grown[1]
    assert grown[1] > 1.3 * grown[2]


def test_pages_of_a_made_up_history_are_whole(tmp_path: Path) -> None:
    runs, results = make_history(40, 15)
    for one in runs:
        (tmp_path / one.folder / "page").mkdir(parents=True)
        ids = "".join(f'<p id="{r.cell}">' for r in results if r.run == one.id)
        (tmp_path / one.folder / "page" / "index.html").write_text(ids)
    night = tmp_path / "nights" / str(runs[-1].night)
    night.mkdir(parents=True)
    confirm = {"state": "done", "says": "seen again: 3 of 9 windows hit", "run": runs[-1].folder}
    bisect = {"state": "done", "says": "<b>it</b> brought it in", "run": "20261006T030000Z-cd34"}
    change = {"cell": "dom0-k1", "follow": True, "confirm": confirm, "bisect": bisect,
              "culprit": "4a8f1da9c9e8 x86/fpu: do not"}  # fmt: skip
    known = {"cell": "pv-gone", "follow": False}
    (night / "night.json").write_text(json.dumps({"changes": [change, known, 7]}))
    write_history(tmp_path, *make_history(2, 20), set())
    assert (tmp_path / "page" / "native-k3.html").is_file()
    write_history(tmp_path, runs, results, {one.folder for one in runs})
    assert len(list((tmp_path / "page").glob("*.html"))) == 1 + 15, "cells that are gone too"
    for page in (tmp_path / "page").glob("*.html"):
        check(page)
    start = html.unescape((tmp_path / "page" / "index.html").read_text())
    assert "dom0-k1 CORRUPTS" in start
    assert "xen bug 40" in start
    assert "</a>, since <strong>4a8f1da9c9e8 x86/fpu: do not</strong>" in start
    assert "booted again: seen again: 3 of 9 windows hit (<a href=" in start
    assert "bisect: <b>it</b> brought it in (<code>20261006T030000Z-cd34</code>)" in start
    assert "pv-gone" not in start
    control = html.unescape((tmp_path / "page" / f"{CONTROL}.html").read_text())
    assert re.search(r"0\.1\d\d of its windows are hit, 0\.[23]\d\d before", control)
    assert control.count('<path class="change"') == 1


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("lab run", "lab run dom0-x"),
        ("lab run 'dom0-*' native-x --trials 3", "lab run dom0-x --trials 3"),
        ("lab run --plan seed 'dom0-*' --kernel a=b", "lab run dom0-x --plan seed --kernel a=b"),
        ("lab run --deterministic pv-x -c my.yaml", "lab run dom0-x --deterministic -c my.yaml"),
        ("lab capsule dom0-x --seeds 3", "lab run dom0-x"),
    ],
)  # fmt: skip
def test_one_cell_is_run_again_as_the_run_did(command: str, again: str) -> None:
    assert say_again(command, "dom0-x") == again


def test_a_page_that_cannot_be_written_costs_a_run_nothing(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _write_pages(run).endswith(f"{run.path.name}/page/index.html")

    def fail(*_: object, **__: object) -> None:
        raise ValueError("not foreseen")

    monkeypatch.setattr("lab.page.write.write_history", fail)
    assert _write_pages(run) == "no page   not foreseen"
