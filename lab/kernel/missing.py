# SPDX-License-Identifier: GPL-2.0-or-later
"""The option behind a symbol that a tree needs and does not have, as the lab configures it.

Vendors' trees are seldom built without a network or block devices: code that is always there may
call what only an option brings. From the linker's words to the file that defines the symbol, and
by the Makefiles above it to the options that build the file. Pure but for reading the tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.kernel.kconfig import list_some
from lab.system.process import search

Read = Callable[[str], str | None]
_MOST = 40  # symbols that are looked for: one option brings many

# Quotes are those of the language that the tools speak.
_UNDEFINED = re.compile(
    r"^(?:.*: )?(?P<user>[\w./+-]+\.[a-zS]):(?:\d+|\(\S+?\)): "
    r"undefined reference to [^\w\s](?P<symbol>\w+)",
    re.MULTILINE,
)
_UNDECLARED = re.compile(
    r"^(?P<user>[\w./+-]+\.[ch]):\d+:\d+: "
    r"error: implicit declaration of function [^\w\s](?P<symbol>\w+)",
    re.MULTILINE,
)
_IN_FUNCTION = re.compile(r"^(?:.*: )?([\w./+-]+)(?:\(\S+\))?: [Ii]n function ", re.MULTILINE)
_LINE = re.compile(r"^([\w-]+?)-(y|m|objs|\$\([^)]*\))\s*[:+]?=\s*(.*)$")
_IF = re.compile(r"^(?:ifdef\s+(CONFIG_\w+)|ifeq\s*\(\$\((CONFIG_\w+)\),\s*[ym]+\))")
_LISTS = ("obj", "lib", "core", "drivers", "net", "init", "libs")
# Where x86's own code is.
_FOLDERS = (
    "arch/x86", "block", "crypto", "drivers", "fs", "init", "ipc", "kernel", "lib", "mm", "net",
    "security", "sound", "virt",
)  # fmt: skip


@dataclass(frozen=True)
class Use:
    """A symbol that something needs and nothing defines. ``user``: a file, as it was named."""

    symbol: str
    user: str


@dataclass(frozen=True)
class Missing:
    """A use, the file that defines its symbol, and the options, now off, that build the file."""

    use: Use
    definer: str
    options: tuple[str, ...]


def explain(found: Sequence[Missing]) -> str:
    """What was found, in a sentence."""
    first = found[0]
    options = list_options(found)
    others = [one.use.symbol for one in found[1:]]
    more = f", and {list_some(others, 3)} likewise" if others else ""
    return (
        f"{first.use.user} needs {first.use.symbol} of {first.definer}{more}: built once more "
        f"with {' and '.join(f'{option}=y' for option in options)}"
    )


def list_options(found: Sequence[Missing]) -> list[str]:
    """Every option once."""
    return list(dict.fromkeys(option for one in found for option in one.options))


def read_uses(log: str) -> list[Use]:
    """What the last command of a build's log lacked, each symbol once."""
    last = re.split(r"^\$ .*$", log, flags=re.MULTILINE)[-1]
    matches = [*_UNDEFINED.finditer(last), *_UNDECLARED.finditer(last)]
    users: dict[str, str] = {}
    for match in matches:
        users.setdefault(match["symbol"], _name_user(last, match))
    return [Use(symbol, user) for symbol, user in users.items()]


def _name_user(log: str, match: re.Match[str]) -> str:
    """Without debug information the linker names no folder, but the object before it."""
    user = match["user"]
    if "/" in user:
        return user
    objects = _IN_FUNCTION.findall(log, 0, match.end())
    folder = PurePosixPath(objects[-1]).parent.as_posix() if objects else "."
    return user if folder == "." else f"{folder}/{user}"


def find(log: str, tree: Path, on: Mapping[str, str], known: Collection[str]) -> list[Missing]:
    """The options behind what a build lacked; empty where none of it is an option's.

    ``on``: the .config that was built; ``known``: the options that the tree has.
    """
    uses = read_uses(log.replace(f"{tree}/", ""))[:_MOST]
    if not uses:
        return []

    def read(path: str) -> str | None:
        file = tree / path
        return file.read_bytes().decode(errors="replace") if file.is_file() else None

    candidates = _find_candidates(tree, [use.symbol for use in uses])
    found = (find_owner(use, candidates, read, on, known) for use in uses)
    return [one for one in found if one is not None]


def _find_candidates(tree: Path, symbols: Sequence[str]) -> list[str]:
    """Files of the tree with any of these words in them."""
    folders = [folder for folder in _FOLDERS if (tree / folder).is_dir()]
    pattern = "|".join(map(re.escape, symbols))
    words = ["grep", "-rlwE", "--include=*.c", "--include=*.S", pattern, *folders]
    return sorted(search(words, cwd=tree))


def find_owner(
    use: Use, candidates: Sequence[str], read: Read, on: Mapping[str, str], known: Collection[str]
) -> Missing | None:
    """Of these files the first that defines the symbol and is built by an option that is off."""
    for path in sorted(candidates, key=lambda path: (not _exports(read(path), use.symbol), path)):
        if defines(read(path) or "", use.symbol):
            gates = find_gates(path, read)
            off = tuple(gate for gate in gates if on.get(gate) != "y")
            if off and all(gate in known for gate in off):
                return Missing(use, path, off)
    return None


def _exports(text: str | None, symbol: str) -> bool:
    return bool(text) and re.search(rf"\bEXPORT_SYMBOL\w*\({symbol}\)", text or "") is not None


def defines(text: str, symbol: str) -> bool:
    """Whether a C or assembly file defines a function or a variable of that name."""
    word = re.escape(symbol)
    return (
        _exports(text, symbol)
        or re.search(rf"^(?!static|extern)[A-Za-z_][\w \t*]*\b{word}\s*\([^;{{}}]*\)\s*\{{",
                     text, re.MULTILINE) is not None
        or re.search(rf"^(?!static|extern)[A-Za-z_][\w \t*]*\b{word}(?:\[[^\]]*\])?\s*(?:=|;)",
                     text, re.MULTILINE) is not None
        or re.search(rf"^(?:ENTRY|SYM_FUNC_START\w*)\({word}\)", text, re.MULTILINE) is not None
    )  # fmt: skip


def find_gates(path: str, read: Read) -> list[str]:
    """The options that a file is built by: of its Makefile, then of those of the folders above."""
    file = PurePosixPath(path)
    gates = _find_object_gates(f"{file.stem}.o", list(_read_rules(file.parent, read)))
    inner = file.parent
    while gates is not None and inner != PurePosixPath("."):
        for outer in inner.parents:
            rules = list(_read_rules(outer, read))
            above = _find_word(f"{inner.relative_to(outer)}/", rules, gates)
            if above is not None:
                gates += above
                inner = outer
                break
        else:
            break  # named where no rule of ours is, as arch/x86
    return list(dict.fromkeys(gates or []))


@dataclass(frozen=True)
class _Rule:
    """`NAME-y += WORDS`, with the options that it depends on."""

    name: str
    gates: tuple[str, ...]
    words: tuple[str, ...]


def _read_rules(folder: PurePosixPath, read: Read) -> Iterator[_Rule]:
    text = read(f"{folder}/Kbuild") or read(f"{folder}/Makefile") or ""
    around: list[str] = []  # options of the conditions that are open; empty for others
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word = line.split("#")[0].strip()
        condition = _IF.match(word)
        if re.match(r"if(n?def|n?eq)\b", word):
            around.append((condition[1] or condition[2]) if condition else "")
        elif word.startswith("else") and around:
            around[-1] = ""
        elif word.startswith("endif") and around:
            around.pop()
        found = _LINE.match(word)
        if found:
            option = re.fullmatch(r"\$\((CONFIG_\w+)\)", found[2])
            gates = (*filter(None, around), *([option[1]] if option else []))
            yield _Rule(found[1], gates, tuple(found[3].split()))


def _find_word(word: str, rules: Sequence[_Rule], have: Sequence[str] = ()) -> list[str] | None:
    """The options of a rule that lists a word, such as `core/`: of that which adds the fewest."""
    found = [list(rule.gates) for rule in rules if word in rule.words and rule.name in _LISTS]
    return min(found, key=lambda gates: len(set(gates) - set(have)), default=None)


def _find_object_gates(
    name: str, rules: Sequence[_Rule], seen: frozenset[str] = frozenset()
) -> list[str] | None:
    """The options of an object, which may be part of another; None where no rule names it."""
    direct = _find_word(name, rules)
    if direct is not None or name in seen:
        return direct
    for rule in rules:
        if name in rule.words and rule.name not in _LISTS:
            whole = _find_object_gates(f"{rule.name}.o", rules, seen | {name})
            if whole is not None:
                return [*rule.gates, *whole]
    return None
