# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.words`: plain words of the field, and verbs for functions.

Looks through every text file that git knows for the turns of words.yaml, also in the names of
functions, and through the code for functions that are named by what they return (``made``,
``found``). Prints a line for each and exits 1 when there is any.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Other people's words, lists that are not prose, and the checker with its samples.
FOREIGN = (
    "tests/patches/", "tests/consoles/", "tests/traces/", "LICENSES/", "requirements",
    "lab.schema.json", "words.yaml", "tests/words.py", "tests/test_words.py",
)  # fmt: skip
FOREIGN_ENDS = (".patch", ".svg", ".png", ".config")
# Participles that do not end in -ed. A function that returns bool may be one: ``shown``.
IRREGULAR = {
    "begun", "brought", "built", "caught", "chosen", "done", "drawn", "found", "given", "gone",
    "held", "kept", "known", "left", "lost", "made", "met", "said", "seen", "sent", "shown",
    "taken", "thought", "told", "took", "written",
}  # fmt: skip
# Verbs and adjectives that end in -ed; ``cached`` says where ``cached_sha256`` has it from.
NOT_PARTICIPLES = {"cached", "embed", "exceed", "nested", "proceed", "speed"}
# What a text's line may begin and end with: a comment's mark, a quote of a string in pieces.
_BEGIN = re.compile(r"^\s*(?:#+|/?\*+|//|[rf]{0,2}\")?\s*")
_END = re.compile(r"\s*\"?\s*$")


@dataclass(frozen=True)
class Turn:
    """A pattern, and the plain form of it."""

    pattern: re.Pattern[str]
    plain: str


def read_turns(path: Path = ROOT / "words.yaml") -> list[Turn]:
    """The list, compiled."""
    found = []
    for entry in yaml.safe_load(path.read_text()):
        flags = re.NOFLAG if entry.get("case") else re.IGNORECASE
        found.append(Turn(re.compile(rf"\b(?:{entry['pattern']})\b", flags), entry["plain"]))
    return found


def find_turns(text: str, turns: list[Turn]) -> Iterator[tuple[int, str, str]]:
    """Line number, the words there, and the plain form; a turn may be broken over two lines."""
    flat, starts = _flatten(text)
    for turn in turns:
        for match in turn.pattern.finditer(flat):
            yield bisect_right(starts, match.start()), match[0].strip(), turn.plain


def _flatten(text: str) -> tuple[str, list[int]]:
    """One line with single spaces, without marks of comments; and where each line begins in it.

    An empty line leaves two spaces, so that no turn is found over the end of a paragraph.
    """
    lines = [" ".join(_END.sub("", _BEGIN.sub("", line)).split()) for line in text.splitlines()]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return " ".join(lines), starts[:-1]


def find_names(text: str, turns: list[Turn], participles: bool) -> Iterator[tuple[int, str, str]]:
    """Functions with a turn in their names, or named by a participle where these are looked for."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for _, what, plain in find_turns(node.name.replace("_", " "), turns):
                yield node.lineno, f"def {node.name}: {what}", plain
            if participles and _is_participle(node):
                yield node.lineno, f"def {node.name}", "a verb: what it does"


def _is_participle(node: ast.FunctionDef) -> bool:
    marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    if marks & {"property", "contextmanager", "fixture", "cached_property"}:
        return False
    if node.returns is not None and ast.unparse(node.returns) == "bool":
        return False
    first = node.name.strip("_").split("_")[0]
    regular = first.endswith("ed") and len(first) > 4 and first not in NOT_PARTICIPLES
    return first in IRREGULAR or regular


def list_files() -> list[Path]:
    """Text files that git knows, without other people's words."""
    said = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = [name for name in said.stdout.split("\0") if name and (ROOT / name).is_file()]
    kept = [n for n in names if not n.startswith(FOREIGN) and not n.endswith(FOREIGN_ENDS)]
    return [ROOT / name for name in kept]


def main(words: list[str]) -> int:
    """Check the files that are named, or all; 1 when anything was found."""
    turns = read_turns()
    count = 0
    for path in [Path(word).resolve() for word in words] or list_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found = list(find_turns(text, turns))
        if path.suffix == ".py":
            found += find_names(text, turns, "tests" not in path.relative_to(ROOT).parts)
        for line, what, plain in sorted(found):
            print(f"{path.relative_to(ROOT)}:{line}: {what!r}: {plain}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
