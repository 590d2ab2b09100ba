"""`python -m tests.words`: plain words of the field, and verbs for functions.

Looks through every text file that git knows for the turns of words.yaml, and through the code for
functions that are named by what they return (``made``, ``found``). Prints a line for each and
exits 1 when there is any.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Other people's words, and lists that are not prose.
FOREIGN = (
    "tests/patches/", "tests/consoles/", "tests/traces/", "LICENSES/", "requirements", "words.yaml",
    "lab.schema.json",
)  # fmt: skip
FOREIGN_ENDS = (".patch", ".svg", ".png", ".config")
# Participles that do not end in -ed. A function that returns bool may be one: ``shown``.
IRREGULAR = {
    "built", "chosen", "cut", "drawn", "found", "given", "held", "kept", "known", "made", "met",
    "read_back", "said", "seen", "sent", "shown", "taken", "thought", "told", "written",
}  # fmt: skip
NOT_PARTICIPLES = {"nested", "need", "feed", "embed", "speed", "exceed", "proceed", "seed"}


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
    """Line number, what stands there, and the plain form; a turn may be broken over two lines."""
    joined = re.sub(r"\n[ \t]*(?:#|\*|//)?[ \t]*", lambda m: "\n" + " " * (len(m[0]) - 1), text)
    flat = joined.replace("\n", " ")
    for turn in turns:
        # A lookbehind has a fixed width: its space stays one.
        wide = re.sub(r"(\(\?<!.*?\))| ", lambda m: m[1] or r"\s+", turn.pattern.pattern)
        pattern = re.compile(wide, turn.pattern.flags)
        for match in pattern.finditer(flat):
            line = text.count("\n", 0, match.start()) + 1
            yield line, " ".join(match[0].split()), turn.plain


def find_nouns(text: str) -> Iterator[tuple[int, str, str]]:
    """Functions whose name is a participle although they do something and return it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and _is_participle(node):
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
        if path.suffix == ".py" and "tests" not in path.parts:
            found += find_nouns(text)
        for line, what, plain in sorted(found):
            print(f"{path.relative_to(ROOT)}:{line}: {what!r}: {plain}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
