# SPDX-License-Identifier: GPL-2.0-or-later
"""A night in one sentence, and on one screen: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.exitcodes import Exit
from lab.nightly.night import Change, JobRecord, Night, Outcome
from lab.verdict.severity import Verdict

_MOST = 20  # lines of one kind


def list_outcomes(night: Night) -> list[Outcome]:
    """What can be claimed tonight, of all jobs."""
    return [outcome for job in night.jobs for outcome in job.outcomes]


def list_unexpected(night: Night) -> list[Outcome]:
    """Cells that do not show what they should; those that are impossible here are not wrong."""
    found = list_outcomes(night)
    return [o for o in found if o.verdict is not None and not o.as_expected]


def make_sentence(night: Night) -> str:
    """What the night has to say."""
    if night.blind:
        why = "; ".join(f"{s.control}: {s.why}" for s in night.sights)
        return f"blind: the lab could not show what it looks for, so nothing is claimed ({why})"
    parts = []
    fresh = [change for change in night.changes if change.follow]
    for change in fresh[:3]:
        parts.append(f"{change.cell} corrupts, it was clean in {change.since}{_say_found(change)}")
    if len(fresh) > 3:
        parts.append(f"{len(fresh) - 3} more cells corrupt that were clean")
    wrong = [o.cell for o in list_unexpected(night) if o.cell not in {c.cell for c in fresh}]
    if wrong:
        parts.append(f"not as expected: {_list(wrong)}")
    drifted = len(night.drifts)
    parts += [f"{drifted} {'rate' if drifted == 1 else 'rates'} drifted"] if drifted else []
    parts += [f"{c.part.says}" for c in night.carried if c.part.state == "done"]
    blind = [sight for sight in night.sights if sight.state == "blind"]
    if blind:
        hosts = [f"{sight.control} on {sight.host}" for sight in blind]
        parts.append(f"blind where {_list(hosts)} should corrupt")
    failed = [job.job for job in night.jobs if job.state == "failed"]
    if failed:
        parts.append(f"not run: {_list(failed)}")
    late = [job.job for job in night.jobs if job.state in ("moved", "cut")]
    if late:
        parts.append(f"no time for {_list(late)}")
    count = len(list_outcomes(night))
    cells = "1 cell" if count == 1 else f"{count} cells"
    if not parts:
        return f"{cells}, all as expected"
    return f"{'; '.join(parts)} ({cells})"


def _say_found(change: Change) -> str:
    if change.culprit:
        return f", since {change.culprit}"
    if change.confirmed is False:
        return ", not seen again"
    return ", seen again" if change.confirmed else ""


def find_exit_code(night: Night) -> int:
    """Of the night: the most severe of what is not as it should be."""
    codes = [Verdict(o.verdict).exit_code for o in list_unexpected(night)]
    codes = [Exit.VACUOUS if code == Exit.OK else code for code in codes]
    # News also where nothing was expected of the cell.
    codes += [Exit.CORRUPTS for change in night.changes if change.follow]
    for sight in night.sights:
        if sight.state == "blind":
            ours = sight.why.startswith(Verdict.LAB_ERROR.value)
            codes.append(Exit.LAB_ERROR if ours else Exit.VACUOUS)
    codes += [Exit.LAB_ERROR for job in night.jobs if job.state == "failed"]
    order = (Exit.CORRUPTS, Exit.CRASHED, Exit.LAB_ERROR, Exit.VACUOUS)
    return next((code for code in order if code in codes), Exit.OK)


def write_text(night: Night) -> str:
    """One screen, for a mail."""
    lines = [f"Night {night.night}: {night.sentence or _say_unfinished(night)}", ""]
    if night.changes and not night.blind:
        lines += ["What changed", *(line for c in night.changes[:_MOST] for line in _say(c)), ""]
    if night.drifts and not night.blind:
        lines += ["What drifted", *(f"  {text}" for text in night.drifts[:_MOST]), ""]
    if night.carried:
        lines += ["Bisects of earlier nights"]
        lines += [f"  {c.cell} (night {c.night}): {c.part.says}" for c in night.carried]
        lines += [""]
    lines += ["Health", *(_say_sight(night, number) for number in range(len(night.sights)))]
    lines += [f"  {board} left the pool: {why}" for board, why in night.out_of_pool.items()]
    lines += ["", "Jobs", *(_say_job(job) for job in night.jobs)]
    wrong = list_unexpected(night)
    if wrong:
        lines += ["", "Not as expected"]
        lines += [_say_outcome(outcome) for outcome in wrong[:_MOST]]
        lines += [f"  and {len(wrong) - _MOST} more"] if len(wrong) > _MOST else []
    if night.notes:
        lines += ["", *night.notes]
    return "\n".join(lines) + "\n"


def _say_unfinished(night: Night) -> str:
    running = next((job.job for job in night.jobs if job.state == "running"), "its controls")
    return f"under way or cut off, at {running}"


def _say(change: Change) -> Iterator[str]:
    yield f"  {change.cell}: {change.now}; it was {change.was} in night {change.since}"
    for text in change.inputs or ["no input that the lab knows of"]:
        yield f"    changed: {text}"
    names = ("confirmed", "capsule", "bisect")
    for name, part in zip(names, (change.confirm, change.capsule, change.bisect), strict=True):
        if part is not None and part.state != "left out":
            yield f"    {name}: {part.says or part.state}"


def _say_sight(night: Night, number: int) -> str:
    sight = night.sights[number]
    text = {"sees": "corrupts, as it should", "blind": f"blind: {sight.why}"}
    return f"  {sight.control} on {sight.host}: {text.get(sight.state, sight.state)}"


def _say_job(job: JobRecord) -> str:
    wrong = sum(o.verdict is not None and not o.as_expected for o in job.outcomes)
    words = {
        "done": f"{len(job.outcomes)} cells, {wrong or 'none'} not as expected",
        "moved": "no time for it; it comes first in the next night",
        "cut": "cut off at the end of the night's time; it comes first in the next night",
        "blind": "not run: its hosts are blind",
        "failed": f"not run: {job.why}",
    }
    seconds = f", {job.seconds:.0f} s" if job.seconds is not None else ""
    notes = "".join(f"; {note}" for note in job.notes)
    return f"  {job.job}: {words.get(job.state, job.state)}{seconds}{notes}"


def _say_outcome(outcome: Outcome) -> str:
    known = f" [{outcome.known}]" if outcome.known else ""
    return f"  {outcome.cell}: {outcome.verdict}{known}: {outcome.reason}"


def _list(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
