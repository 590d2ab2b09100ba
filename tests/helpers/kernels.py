# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that are small enough for a test: a source tree that make builds, a bzImage to read."""

from __future__ import annotations

import gzip
import struct

# The targets that the builder asks a kernel for. `allnoconfig` keeps the options that
# Kconfig.names knows, as the real one drops what it does not know.
MAKEFILE = """\
.PHONY: allnoconfig bzImage
allnoconfig:
\t@mkdir -p $(O)
\t@grep -F -f Kconfig.names $(KCONFIG_ALLCONFIG) >$(O)/.config || true
bzImage:
\t@sleep 0.2; echo built >>$(O)/count
\t@echo "  CC      main.o"
\t@if grep -q broken main.c; then echo "main.c:1: error: broken" >&2; \\
\t\techo "make: noise" >&2; exit 1; fi
\t@mkdir -p $(O)/arch/x86/boot
\t@cat main.c $(O)/.config >$(O)/arch/x86/boot/bzImage
\t@echo "$(KBUILD_BUILD_TIMESTAMP) $(LOCALVERSION)" >>$(O)/arch/x86/boot/bzImage
\t@cp main.c $(O)/vmlinux
"""


def xen_note(kind: int) -> bytes:
    return struct.pack("<III", 4, 8, kind) + b"Xen\0" + bytes(8)


def bz_image(notes: bytes, version: str = "3.19.8 (x@y)", bits: int = 64) -> bytes:
    """A bzImage small enough to read: boot header, version, a gzipped ELF with notes."""
    wide = bits == 64
    header = struct.Struct("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH")
    entry = 56 if wide else 32
    start = 16 + header.size
    at, size = start + entry, len(notes)
    elf = b"\x7fELF" + bytes([bits // 32, 1, 1, *bytes(9)])
    elf += header.pack(2, 62, 1, 0, start, 0, 0, start, entry, 1, 0, 0, 0)
    order = (4, 0, at, 0, 0, size, size, 4) if wide else (4, at, 0, 0, size, size, 0, 4)
    elf += struct.pack("<IIQQQQQQ" if wide else "<IIIIIIII", *order) + notes
    payload = gzip.compress(elf)
    setup = bytearray(2 * 512)
    setup[0x1F1] = 1
    setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<HIHH", setup, 0x206, 0x20C, 0, 0, 0x100)
    setup[0x300 : 0x300 + len(version)] = version.encode()
    struct.pack_into("<II", setup, 0x248, 0, len(payload))
    body = payload + bytes(-len(payload) % 16)
    struct.pack_into("<I", setup, 0x1F4, len(body) // 16)
    return bytes(setup) + body
