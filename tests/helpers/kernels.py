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
    elf = bytearray(64 + 56) + notes
    elf[:5] = b"\x7fELF" + bytes([bits // 32])
    struct.pack_into("<Q", elf, 32, 64)
    struct.pack_into("<HH", elf, 54, 56, 1)
    struct.pack_into("<IIQQQQQQ", elf, 64, 4, 0, 120, 0, 0, len(notes), len(notes), 4)
    payload = gzip.compress(bytes(elf))
    setup = bytearray(2 * 512)
    setup[0x1F1] = 1
    setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<HIHH", setup, 0x206, 0x20C, 0, 0, 0x100)
    setup[0x300 : 0x300 + len(version)] = version.encode()
    struct.pack_into("<II", setup, 0x248, 0, len(payload))
    body = payload + bytes(-len(payload) % 16)
    struct.pack_into("<I", setup, 0x1F4, len(body) // 16)
    return bytes(setup) + body
