# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases of the tests' own: a tiny kernel tree as a tarball, signed by a key that is made for it,
and a mirror that serves them over HTTP, with faults on request.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import re
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.helpers.kernels import bz_image, xen_note

# What lab/kernel/kconfig.py refuses a kernel without.
OPTIONS = (
    "X86_64", "XEN", "HVC_XEN", "SERIAL_8250_CONSOLE", "BLK_DEV_INITRD", "BINFMT_ELF", "PROC_FS",
    "PREEMPT_VOLUNTARY", "SLUB_DEBUG",
)  # fmt: skip
MAKEFILE = """\
VERSION = {0}
PATCHLEVEL = {1}
SUBLEVEL = {2}
.PHONY: allnoconfig bzImage
allnoconfig:
\t@grep -F -w -f Kconfig.names $(KCONFIG_ALLCONFIG) >$(O)/.config
\t@echo CONFIG_X86_64=y >>$(O)/.config
bzImage:
\t@mkdir -p $(O)/arch/x86/boot
\t@cp image.bin $(O)/arch/x86/boot/bzImage
\t@cat main.c $(O)/.config >$(O)/vmlinux
"""


@dataclass(frozen=True)
class Signer:
    """A key of the tests' own. ``public``: its public half, as gpg exports it."""

    home: Path
    public: Path
    fingerprint: str

    def clear_sign(self, text: str) -> bytes:
        return self._gpg("--clear-sign", given=text.encode())

    def sign(self, content: bytes) -> bytes:
        return self._gpg("--armor", "--detach-sign", given=content)

    def _gpg(self, *words: str, given: bytes = b"") -> bytes:
        return run_gpg(self.home, *words, given=given)


def run_gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    argv = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", *words]
    return subprocess.run(argv, input=given, capture_output=True, check=True).stdout


@contextlib.contextmanager
def make_signer() -> Iterator[Signer]:
    """Its folder is in /tmp: an agent's socket has a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        home = Path(folder)
        words = ("--quick-generate-key", "throw-away <t@example.org>", "ed25519", "sign", "never")
        try:
            run_gpg(home, *words)
            listing = run_gpg(home, "--list-keys", "--with-colons").decode()
            found = re.search(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)
            assert found is not None
            (home / "public.gpg").write_bytes(run_gpg(home, "--export"))
            yield Signer(home, home / "public.gpg", found.group(1))
        finally:
            kill = ["gpgconf", "--homedir", folder, "--kill", "gpg-agent"]
            subprocess.run(kill, capture_output=True, check=False)


def pack_tree(version: str, more: dict[str, bytes] | None = None) -> bytes:
    """An uncompressed tarball with the one folder linux-VERSION."""
    major, minor, last = (*version.split("."), "0")[:3]
    files = {
        "Makefile": MAKEFILE.format(major, minor, last).encode(),
        "Kbuild": b"",
        "Kconfig": "".join(f"config {name}\n\tbool\n" for name in OPTIONS).encode(),
        "Kconfig.names": "".join(f"CONFIG_{name}\n" for name in OPTIONS).encode(),
        "main.c": b"one\ntwo\nthree\n",
        "image.bin": bz_image(xen_note(6), f"{version} (t@t)"),
        **(more or {}),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"linux-{version}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def fill_folder(version: str, tar: bytes, signer: Signer, listed: bool = True) -> dict[str, bytes]:
    """What kernel.org's folder has of a release, by file name."""
    name, packed = f"linux-{version}.tar", lzma.compress(tar, preset=0)
    others = f"{'0' * 64}  linux-{version}.1.tar.xz\n"
    line = f"{hashlib.sha256(packed).hexdigest()}  {name}.xz\n" if listed else ""
    return {
        f"{name}.xz": packed,
        f"{name}.sign": signer.sign(tar),
        "sha256sums.asc": signer.clear_sign(others + line),
    }


@dataclass
class Mirror:
    """A server on loopback. ``files``: by path; ``asked``: path and Range of each request."""

    url: str
    files: dict[str, bytes]
    asked: list[tuple[str, str]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)  # of the next large answers, after so many bytes
    ranges: bool = True  # whether it can send a part
    moved_to: str = ""  # where it redirects everything

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        self.files |= {f"/{folder}/{name}": content for name, content in files.items()}


def _make_handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            mirror.asked.append((self.path, asked))
            content = mirror.files.get(re.sub(r"^http://[^/]+", "", self.path))
            if mirror.moved_to:
                self.send_response(302)
                self.send_header("Location", mirror.moved_to + self.path)
                self._end(b"")
            elif content is None:
                self.send_error(404)
            else:
                self._send(content, asked)

        def _send(self, content: bytes, asked: str) -> None:
            begin = int(asked[6:-1]) if asked and mirror.ranges else 0
            if begin and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header(
                    "Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"
                )
            self._end(content[begin:])

        def _end(self, content: bytes) -> None:
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            cut = mirror.cuts.pop(0) if mirror.cuts and self.path.endswith(".xz") else None
            self.wfile.write(content[:cut])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


@contextlib.contextmanager
def serve_mirror() -> Iterator[Mirror]:
    mirror = Mirror("", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(mirror))
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
