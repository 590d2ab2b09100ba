# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and addresses in an ELF file: the kernel's vmlinux and the stress program."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.kernel import image as bzimage


@dataclass(frozen=True)
class Symbols:
    """``addresses`` by name; of a name that occurs twice, the first."""

    origin: str
    addresses: dict[str, int]

    def first(self, names: Sequence[str]) -> tuple[str, int] | None:
        """The first of ``names`` that is there, with its address."""
        return next(((n, self.addresses[n]) for n in names if n in self.addresses), None)

    def all(self, names: Sequence[str]) -> dict[str, int]:
        """Those of ``names`` that are there."""
        return {name: self.addresses[name] for name in names if name in self.addresses}


def read(content: bytes | Path, origin: str) -> Symbols:
    """The symbol table; UserError when the file lacks one or is not an ELF file."""
    # Imported here: every run looks for symbols beside a kernel, few read them.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    raw = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    with raw:
        try:
            table = ELFFile(raw).get_section_by_name(".symtab")
            found: dict[str, int] = {}
            symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
            for symbol in symbols:
                if symbol.name and symbol["st_shndx"] != "SHN_UNDEF":
                    found.setdefault(symbol.name, symbol["st_value"])
        except (ELFError, ValueError, KeyError, OverflowError) as error:
            raise UserError(f"{origin}: is not an ELF file that can be read ({error})") from None
    if not found:
        raise UserError(f"{origin}: holds no symbols; an unstripped vmlinux is wanted")
    return Symbols(origin, found)


def read_banner(vmlinux: Path) -> str | None:
    """The text 'Linux version ...' in a vmlinux, up to its compiler; None without one."""
    mark = b"Linux version "
    content = vmlinux.read_bytes()
    at = content.find(mark)
    while at >= 0:
        text = content[at + len(mark) : at + 200].split(b" ")[0]
        if text[:1].isdigit():
            return text.decode("ascii", "replace")
        at = content.find(mark, at + 1)
    return None


def find_beside(image: Path) -> Path | None:
    """The vmlinux that a kernel image was made of, where it lies in its usual places."""
    places = [image.with_name(image.name.replace("bzImage", "vmlinux"))]
    if image.parts[-4:] == ("arch", "x86", "boot", "bzImage"):
        places.append(image.parents[3] / "vmlinux")
    found = (place for place in places if place != image and place.is_file())
    return next((place for place in found if fits(place, image)), None)


def fits(vmlinux: Path, image: Path) -> bool:
    """Whether both say the same version."""
    return read_banner(vmlinux) == read_version(image)


def read_version(image: Path) -> str:
    """As in `uname -r`."""
    return bzimage.read(image).version.split(" ")[0]
