# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches as people have them: a diff, a folder or series of them, an mbox, a mail with one in it.

What a mail program did to the text (quoted-printable, base64, format=flowed, line wrap, no-break
spaces) is undone where that is unambiguous, and every such step is a note.
"""

from __future__ import annotations

import email.message
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.patch import fit as patchfit
from lab.patch.diff import FileChange, has_diff, parse
from lab.patch.fit import Fitted
from lab.system.files import write_atomic
from lab.system.process import run
from lab.system.tree import Folder

# A line of an mbox between messages: it ends with a time. "From 2.6.26 on" in a text does not.
_MBOX = re.compile(rb"^From \S+.*\d\d:\d\d(?::\d\d)? .*\d{4}.*$", re.MULTILINE)
_MAIL_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_NUMBER = re.compile(r"\[[^\]]*?\b(\d{1,3})/(\d{1,3})\]")
_SUBJECT = re.compile(r"^Subject: (.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_TITLE = re.compile(r"^((?:Re: )?(?:\[[^\]\n]*\] )*\[[^\]\n]*PATCH[^\]\n]*\] .*)$", re.MULTILINE)
_DIFF_NAMES = (".patch", ".diff", ".txt")
_TYPES = {"text/plain", "text/x-patch", "text/x-diff", "application/x-patch", "text/x-csrc"}
_MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class Patch:
    """``changes`` are mended; ``notes`` say what was mended. ``name`` is for messages and files."""

    name: str
    subject: str
    changes: tuple[FileChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Text:
    """A text in which a diff may be, and where it is from."""

    name: str
    subject: str
    text: str
    notes: tuple[str, ...] = ()


def read(path: Path) -> list[Patch]:
    """The patches of a file or folder, in order; UserError when it holds none."""
    if path.is_dir():
        return _read_folder(path)
    content = _read_bytes(path)
    if path.name == "series":
        return _read_series(path)
    starts = [found.start() for found in _MBOX.finditer(content)]
    if starts and not content[: starts[0]].strip():
        ends = [*starts[1:], len(content)]
        messages = [content[a:b] for a, b in zip(starts, ends, strict=True)]
        bodies = [message.split(b"\n", 1)[-1] for message in messages]
        named = len(bodies) > 1
        texts = [
            text
            for number, body in enumerate(bodies, 1)
            for text in _read_mail(body, f"{path.name}, message {number}" if named else path.name)
        ]
    elif _is_mail(content):
        texts = _read_mail(content, path.name)
    else:
        texts = [_Text(path.name, _find_subject(_decode(content)), _decode(content))]
    return _read_patches(texts, path)


def apply(patches: Sequence[Patch], tree: Path, fuzz: int = 0, loose: bool = False) -> list[Fitted]:
    """Change the tree's files in place, by GNU patch without fuzz: the fitted patches need none.

    UserError, and nothing changed, where one does not fit.
    """
    fitted = fit(patches, Folder(tree), fuzz, loose)
    for one in fitted:
        file = tree / ".lab.patch"
        write_atomic(file, one.text.encode(errors="surrogateescape"))
        try:
            options = ["-p1", "-F0", "--batch", "--no-backup-if-mismatch"]
            run(["patch", *options, "-i", file], cwd=tree)
        finally:
            file.unlink()
    return fitted


def fit(
    patches: Sequence[Patch], tree: patchfit.Tree, fuzz: int = 0, loose: bool = False
) -> list[Fitted]:
    """Strict patches for a tree, with all that was done to them in their notes."""
    made = patchfit.fit([(patch.name, patch.changes) for patch in patches], tree, fuzz, loose)
    return [
        Fitted(one.name, one.text, (*patch.notes, *one.notes))
        for patch, one in zip(patches, made, strict=True)
    ]


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the patch cannot be read ({error.strerror})") from None
    if len(content) > _MAX_BYTES:
        raise UserError(f"{path}: is larger than {_MAX_BYTES >> 20} MiB, which a patch is not")
    if b"\0" in content:
        raise UserError(f"{path}: is binary: give a diff or a mail as text")
    return content


def _read_folder(folder: Path) -> list[Patch]:
    if (folder / "series").is_file():
        return _read_series(folder / "series")
    files = sorted(p for p in folder.iterdir() if p.suffix in (".patch", ".diff", ".mbox", ".eml"))
    if not files:
        raise UserError(f"{folder}: holds no series file and no *.patch, *.diff, *.mbox or *.eml")
    return [patch for file in files for patch in read(file)]


def _read_series(series: Path) -> list[Patch]:
    """A series file like quilt's: names, comments after #; -p options are ignored."""
    names = []
    for line in _decode(_read_bytes(series)).splitlines():
        words = line.split("#", 1)[0].split()
        if words:
            names.append(words[0])
    if not names:
        raise UserError(f"{series}: does not name a patch")
    missing = [name for name in names if not (series.parent / name).is_file()]
    if missing:
        raise UserError(f"{series}: names {missing[0]}, which is not in {series.parent}")
    return [patch for name in names for patch in read(series.parent / name)]


def _decode(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _find_subject(text: str) -> str:
    """Of a mail's headers, or the title of a web page that shows one."""
    found = _SUBJECT.search(text[:8192]) or _TITLE.search(text[:2000])
    return " ".join(found.group(1).split()) if found else ""


def _is_mail(content: bytes) -> bool:
    head, _, _ = content.lstrip(b"\n").replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith((b" ", b"\t"))]
    names = {line.split(b":")[0].lower() for line in lines}
    headers = all(_MAIL_HEADER.match(line) for line in lines)
    return headers and bool(names & {b"subject", b"from", b"content-type", b"mime-version"})


def _read_mail(content: bytes, name: str) -> list[_Text]:
    message = email.message_from_bytes(content.lstrip(b"\n"), policy=email.policy.default)
    subject = " ".join(str(message.get("Subject", "")).split())
    texts: list[_Text] = []
    leaves = [part for part in message.walk() if not part.is_multipart()]
    for part in leaves:
        file = part.get_filename() or ""
        if part.get_content_type() not in _TYPES and not file.endswith(_DIFF_NAMES):
            continue
        text, notes = _decode_part(part)
        texts.append(_Text(f"{name}, {file}" if file else name, subject, text, notes))
    if not texts and any(part.get_content_type() == "text/html" for part in leaves):
        raise UserError(
            f"{name}: has its text only as HTML, which does not preserve a diff: get the plain text"
        )
    if sum(has_diff(text.text) for text in texts) > 1:
        texts = _drop_doubles(texts)
    return texts


def _drop_doubles(texts: list[_Text]) -> list[_Text]:
    """The texts without a diff that came twice, in the text and attached."""
    seen: dict[str, _Text] = {}
    for text in texts:
        lines = text.text.splitlines()
        key = "\n".join(line for line in lines if line[:1] in ("+", "-"))
        seen.setdefault(key, text)
    return list(seen.values())


def _decode_part(part: email.message.Message) -> tuple[str, tuple[str, ...]]:
    """A part's text with its transfer encoding, character set and flowing undone."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    notes = []
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding in ("quoted-printable", "base64"):
        notes.append(f"its {encoding} encoding was undone")
    charset = (part.get_content_charset() or "utf-8").lower()
    try:
        # Source files are UTF-8; bytes that are not stay as they are.
        same = charset in ("utf-8", "us-ascii")
        text = content.decode(errors="surrogateescape") if same else content.decode(charset)
    except (LookupError, UnicodeDecodeError):
        text = content.decode(errors="surrogateescape")
    text = text.replace("\r\n", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        text = unflow(text, str(part.get_param("delsp", "")).lower() == "yes")
        notes.append("its format=flowed was undone")
    return text, tuple(notes)


def unflow(text: str, delete_space: bool = False) -> str:
    """RFC 3676: a line that ends with a space goes on in the next, a leading one is stuffing."""
    result: list[str] = []
    open_line = False
    for raw in text.split("\n"):
        line = raw.removeprefix(" ")
        if open_line:
            before = result[-1][:-1] if delete_space else result[-1]
            result[-1] = before + line
        else:
            result.append(line)
        open_line = line.endswith(" ") and bool(line.strip()) and line != "-- "
    return "\n".join(result)


def _read_patches(texts: list[_Text], path: Path) -> list[Patch]:
    patches = [patch for text in texts if (patch := _read_patch(text)) is not None]
    if not patches and len(texts) == 1:
        patches = _read_quoted(texts[0])
    if not patches:
        raise UserError(f"{path}: it holds no diff (a line 'diff --git' or '--- ' and '+++ ')")
    return _sort(patches, path)


def _read_patch(text: _Text) -> Patch | None:
    """The patch of a text; None for one without a diff, such as a cover letter."""
    if not has_diff(text.text):
        return None
    changes, mended = parse(text.text, text.name)
    return Patch(text.name, text.subject, tuple(changes), (*text.notes, *mended))


def _read_quoted(text: _Text) -> list[Patch]:
    """A diff in a reply, behind '> '; what the replier wrote in between is dropped."""
    lines = [line for line in text.text.split("\n") if line.startswith(">")]
    stripped = "\n".join(re.sub(r"^> ?", "", line) for line in lines)
    if not has_diff(stripped):
        return []
    note = "it was taken from quoted text, without the lines that are not quoted"
    found = _read_patch(_Text(text.name, text.subject, stripped, (*text.notes, note)))
    return [found] if found else []


def _sort(patches: list[Patch], path: Path) -> list[Patch]:
    """By the numbers of [PATCH 2/3] where every one has them; a gap is a UserError."""
    found = [_NUMBER.search(patch.subject) for patch in patches]
    numbers = [int(n.group(1)) for n in found if n]
    if len(patches) < 2 or len(numbers) != len(patches):
        return patches
    total = max(int(n.group(2)) for n in found if n)
    doubled = next((n for n in numbers if numbers.count(n) > 1), None)
    if doubled is not None:
        raise UserError(
            f"{path}: has patch {doubled}/{total} twice: keep one version of the series"
        )
    missing = [n for n in range(1, total + 1) if n not in numbers]
    if missing:
        raise UserError(f"{path}: patch {missing[0]}/{total} of the series is missing")
    return [patch for _, patch in sorted(zip(numbers, patches, strict=True), key=lambda x: x[0])]
