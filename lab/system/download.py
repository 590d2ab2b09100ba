# SPDX-License-Identifier: GPL-2.0-or-later
"""Files from mirrors: a folder here, a file: address, or HTTP; the one owner of HTTP downloads.

A proxy is taken from the environment (http_proxy, https_proxy, no_proxy). Nothing is believed
of what comes: whoever asks checks a hash or a signature.
"""

from __future__ import annotations

import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from lab.errors import LabError, UserError

_PIECE = 1 << 18
_SMALL = 8 << 20  # a list of hashes or a signature is never larger
_SILENCE = 60  # seconds without a byte after which a mirror counts as gone
_REPORT = 5  # seconds between two lines of progress
_TRIES = 3  # a download that ends early goes on where it was
_WEB = re.compile(r"https?://[^/\s]+.*")
_ADDRESS = re.compile(r"https?://[^/\s]+\S*|file:(//)?/[^\s]*")


class Unreachable(LabError):  # noqa: N818 (a finding about the mirror)
    """The mirror does not answer."""


class NotThere(UserError):  # noqa: N818 (a finding about the mirror)
    """The mirror answers, and does not have the file."""


def is_address(mirror: str) -> bool:
    """Whether a mirror is written as an address, and not as a folder of this machine."""
    return "://" in mirror or mirror.startswith("file:")


def check_mirror(mirror: str) -> None:
    """ValueError for what is neither an address that can be asked nor a folder."""
    if not mirror or (is_address(mirror) and not _ADDRESS.fullmatch(mirror)):
        raise ValueError(
            f"{mirror!r} is not a mirror: https://HOST/FOLDER, file:///FOLDER or a folder here"
        )


def fetch_small(mirror: str, name: str) -> bytes:
    """A small file's content; NotThere, or UserError when the mirror cannot be asked."""
    with _open(mirror, name) as source:
        content = _read(source, _SMALL + 1, f"{mirror}/{name}")
    if len(content) > _SMALL:
        raise LabError(f"{mirror}/{name} is larger than {_SMALL >> 20} MiB")
    return content


def fetch_large(mirror: str, name: str, part: Path, report: Callable[[str], None]) -> None:
    """Bring a file to ``part``, going on from what is there already.

    NotThere; UserError when the mirror cannot be asked; LabError when it keeps ending early:
    ``part`` then stays for the next call.
    """
    if not _WEB.match(mirror):
        with _open(mirror, name) as source, part.open("wb") as out:
            shutil.copyfileobj(source, out, _PIECE)
        return
    for _ in range(_TRIES):
        if _go_on(mirror, name, part, report):
            return
    raise LabError(
        f"{mirror}/{name} ended early {_TRIES} times, after {part.stat().st_size} bytes in all: "
        "start again, and it goes on from there"
    )


def _go_on(mirror: str, name: str, part: Path, report: Callable[[str], None]) -> bool:
    """One request for what is missing; whether the file is whole by the server's own count."""
    have, reported = part.stat().st_size if part.exists() else 0, time.monotonic()
    with _open(mirror, name, have) as source:
        begins, size = _find_extent(source)
        if begins != have:  # the server sends the whole, as it may
            have = 0
        with part.open("ab" if have else "wb") as out:
            while piece := _read(source, _PIECE, f"{mirror}/{name}", allow_end=True):
                out.write(piece)
                have += len(piece)
                if time.monotonic() - reported > _REPORT:
                    reported = time.monotonic()
                    report(f"downloading {name}, {have >> 20} of {(size or have) >> 20} MiB")
    return size is None or have >= size


def _find_extent(answer: Any) -> tuple[int, int | None]:
    """Where what comes begins, and the whole file's size if the server says it."""
    found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status == http.client.PARTIAL_CONTENT and found:
        return int(found.group(1)), int(found.group(2)) if found.group(2) != "*" else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _read(source: BinaryIO, size: int, what: str, allow_end: bool = False) -> bytes:
    try:
        return source.read(size)
    except (OSError, http.client.HTTPException) as error:
        if allow_end:
            return b""
        raise LabError(f"{what} broke off: {error}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another host than the user's is not asked."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _open(mirror: str, name: str, begin: int = 0) -> Any:
    """The file's bytes, from ``begin`` on where a server can do that."""
    address = f"{mirror}/{name}"
    if not _WEB.match(mirror):
        return _open_here(_find_folder(mirror) / name)
    request = urllib.request.Request(address, headers={"User-Agent": "xen-fpu-lab"})  # noqa: S310 - http(s) only, by _WEB
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    try:
        return urllib.request.build_opener(_NoRedirect).open(request, timeout=_SILENCE)
    except urllib.error.HTTPError as error:
        if begin and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(mirror, name)  # what is there is as long as the file, or longer
        raise _explain(error, address) from None
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", error)
        raise Unreachable(f"{address} cannot be reached ({why})") from None


def _find_folder(mirror: str) -> Path:
    return Path(unquote(urlsplit(mirror).path) if mirror.startswith("file:") else mirror)


def _open_here(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise NotThere(f"there is no file {file}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None


def _explain(error: urllib.error.HTTPError, address: str) -> UserError | LabError:
    with error:
        if error.code in (404, 410):
            return NotThere(f"there is no {address}")
        if 300 <= error.code < 400:
            goal = error.headers.get("Location", "nowhere")
            return UserError(f"{address} redirects to {goal}: let `mirror:` name the place itself")
        return LabError(f"{address} answers {error.code} {error.reason}")
