# SPDX-License-Identifier: GPL-2.0-or-later
"""What old kernels need from new compilers: data. Each with its reason, range and source.

``last`` is the last mainline series that may need it. Whether a tree does is seen in the tree
itself (``lacks``, ``find``): stable and vendor trees carry fixes of later versions. Source edits
go into the builder's copy only. lab/kernel/fixup.py applies this table.
"""

from __future__ import annotations

import itertools

from lab.kernel.fixup import Edit, Fixup, Header, Measure

_MEASURES = (
    Measure(
        "pie", (4, 9),
        "compilers of distributions make position-independent programs by default; the kernel "
        "is linked to fixed addresses",
        "mainline 8ae94224c9d7, 4.9: -fno-PIE in the kernel's own Makefile",
        lacks=("Makefile", r"fno-(?:pie|PIE)"), cc=("-fno-pie", "-no-pie"),
    ),
    Measure(
        "cet", (5, 10),
        "compilers of some distributions put endbr64 and notes for it into every object, which "
        "the linker scripts of boot code have no place for",
        "mainline 29be86d7f9cb, 5.3 (with retpolines only), then 5.11",
        lacks=("arch/x86/Makefile", r"fcf-protection"), cc=("-fcf-protection=none",),
    ),
    Measure(
        "dialect", (5, 17),
        "gcc 5 and newer speak gnu11 or later, where `extern inline` means the opposite; boot "
        "code did not get the Makefile's own -std=gnu89",
        "mainline 51b97e354ba9, 3.18 (kernel); e8c07082a810, 5.18, moved to gnu11",
        cc=("-std=gnu89",),
    ),
    Measure(
        "stack-protector", (4, 15),
        "compilers of some distributions protect the stack by default, by a register that early "
        "code has not set up",
        "Debian and Ubuntu gcc defaults; the Makefile switches it off only where it was asked for",
        cc=("-fno-stack-protector",),
    ),
    Measure(
        "relax-relocations", (4, 5),
        "binutils 2.26 and newer turn GOT loads into absolute addresses where a link is not PIE: "
        "wrong as soon as the decompressor moves itself",
        "mainline 6d92bc9d483a, 4.6: the decompressor became PIE; 09e43968db40, 5.9, has the why",
        lacks=("arch/x86/boot/compressed/Makefile", r"relax-relocations"),
        cc=("-Wa,-mrelax-relocations=no",),
    ),
    Measure(
        "sse", (3, 12),
        "gcc 12 vectorizes at -O2, and the decompressor, whose Makefile sets its flags anew, "
        "runs before SSE is on: a native boot dies of its first #UD without a word",
        "mainline, 3.13: x86, build: Pass in additional -mno-mmx, -mno-sse options",
        lacks=("arch/x86/boot/compressed/Makefile", r"-mno-sse"), cc=("-mno-sse", "-mno-mmx"),
    ),
    Measure(
        "warnings", (4, 19),
        "thousands of warnings of compilers that are years younger than the code, some of them "
        "made errors",
        "gcc 8 and newer: -Wattribute-alias, -Wmissing-attributes and more",
        cc=("-w",), hostcc=("-w",),
    ),
    Measure(
        "host-common", (5, 5),
        "gcc 10 and newer put common symbols into one object only: yylloc of scripts/dtc is "
        "defined twice. For host tools only: the kernel itself relies on -fno-common",
        "mainline e33a814e772c, 5.6",
        hostcc=("-fcommon",),
    ),
)  # fmt: skip

_HEADERS = (
    Header(
        "compiler-header", (4, 1),
        "the kernel includes a header for each major version of gcc, and stops at those of its "
        "time",
        "mainline cb984d101b30, 4.2: one header for all",
        find=("include/linux/compiler-gcc.h", r"gcc_header"),
        path="include/linux/compiler-gcc{major}.h",
        known="include/linux/compiler-gcc{major}.h",
    ),
)  # fmt: skip

# Where x86's headers were up to 2.6.27, and then.
_HEADERS_OF_X86 = ("include/asm-x86", "arch/x86/include/asm")

_EDITS = (
    *(
        Edit(
            f"movq-constants-{number}", (2, 6, 30),
            "a constant of 64 bits is given to movq, which takes 32: newer compilers do so",
            f"mainline {commit}, 2.6.31",
            path=f"{folder}/{name}",
            find=rf'"q", "", "{old}"',
            put='"q", "", "er"',
        )
        for number, (folder, (name, old, commit)) in enumerate(
            itertools.product(
                _HEADERS_OF_X86,
                (("uaccess.h", "Zr", "ebe119cd0929"), ("uaccess_64.h", "ir", "155b73529583")),
            ),
            start=1,
        )
    ),
    Edit(
        "compiler-choice", (2, 6, 28),
        "an #error stands where a compiler newer than gcc 4 comes",
        "mainline f153b82121b0, 2.6.29",
        path="include/linux/compiler.h",
        find=r"^#if __GNUC__ > 4\s*\n#\s*error .*\n#elif __GNUC__ == 4\b",
        put="#if __GNUC__ >= 4",
    ),
    Edit(
        "mixed-rules", (2, 6, 28),
        "make 3.82 and newer do not take `config %config:` for a rule of %config",
        "mainline 31110ebbec8, 2.6.29",
        path="Makefile",
        find=r"^([\w/]+) (%[\w/]*): (.*)\n((?:\t.*\n)+)",
        put=r"\1: \3\n\4\n\2: \3\n\4",
    ),
    Edit(
        "mutex-used", (2, 6, 28),
        "functions that only assembly names are left out by newer compilers",
        "mainline 7918baa55514, 2.6.29",
        path="kernel/mutex.c",
        find=r"^static (?:void noinline|noinline void)"
             r"(?=( __sched)?\s+__mutex_(un)?lock_\w*slowpath)",
        put="static __used noinline void",
    ),
    Edit(
        "plt32-relocs", (4, 15),
        "binutils 2.31 and newer mark calls with R_X86_64_PLT32, which the tool that lists "
        "relocations (CONFIG_RANDOMIZE_BASE) refuses",
        "mainline b21ebf2fb4cd, 4.16",
        path="arch/x86/tools/relocs.c",
        find=r"^(\s*)case R_X86_64_PC32:$",
        put=r"\1case R_X86_64_PC32:\n\1case R_X86_64_PLT32:",
        lacks=r"case R_X86_64_PLT32",
    ),
    Edit(
        "plt32-modules", (4, 15),
        "the same in the module loader",
        "mainline b21ebf2fb4cd, 4.16",
        path="arch/x86/kernel/module.c",
        find=r"^(\s*)case R_X86_64_PC32:$",
        put=r"\1case R_X86_64_PC32:\n\1case R_X86_64_PLT32:",
        lacks=r"case R_X86_64_PLT32",
    ),
    Edit(
        "early-idt-jumps", (4, 0),
        "each early exception stub must have one size; newer assemblers choose the short jump "
        "for some. The kernel then boots as PV (Xen unpacks it) and hangs natively and as HVM",
        "mainline 425be5679fd2, 4.1",
        path="arch/x86/kernel/head_64.S",
        find=r"^([ \t]*)jmp[ \t]+early_idt_handler[ \t]*$",
        put=r"\1.byte 0xe9\n\1.long early_idt_handler - . - 4",
    ),
    Edit(
        "timeconst-perl", (3, 8),
        "perl 5.22 and newer refuse defined(@array)",
        "mainline 63a3f603413f, 3.9",
        path="kernel/timeconst.pl",
        find=r"if \(!defined\(@(\w+)\)\)",
        put=r"if (!@\1)",
    ),
    Edit(
        "acpi-section", (3, 9),
        "a function is declared as data: newer compilers refuse the section of both",
        "3.10 declares it __init",
        path="include/acpi/acpiosxf.h",
        find=r"^acpi_status __initdata acpi_os_initialize\b",
        put="acpi_status __init acpi_os_initialize",
    ),
    Edit(
        "xen-callback-size", (2, 6, 37),
        "END() names a symbol that does not exist; binutils 2.22 and newer refuse the .size",
        "mainline 371c394af27a, 2.6.38",
        path="arch/x86/kernel/entry_64.S",
        find=r"END\(do_hypervisor_callback\)",
        put="END(xen_do_hypervisor_callback)",
    ),
    Edit(
        "xen-percpu-address", (2, 6, 29),
        "a stand-in for an address, in code that never runs, is taken for a number of 64 bits by "
        "newer assemblers; written out it makes the same bytes as before",
        "mainline 5393744b71c, 2.6.30: real addresses",
        path="arch/x86/xen/xen-asm_64.S",
        find=r"^(#define PER_CPU_VAR\(var, off\)\s+)0xdeadbeef$",
        put=r"\g<1>0xffffffffdeadbeef",
    ),
    Edit(
        "vdso-linker-64", (2, 6, 36),
        "the vdso is linked by gcc with the linker's word -m elf_x86_64, which gcc refuses "
        "since 4.6",
        "mainline de2a8cf98ecd, 2.6.37",
        path="arch/x86/vdso/Makefile",
        find=r"-m elf_x86_64",
        put="-m64",
    ),
    Edit(
        "vdso-linker-32", (2, 6, 36),
        "the same for the 32-bit vdso, -m elf_i386",
        "mainline de2a8cf98ecd, 2.6.37",
        path="arch/x86/vdso/Makefile",
        find=r"-m elf_i386",
        put="-m32",
    ),
)  # fmt: skip

TABLE: tuple[Fixup, ...] = (*_MEASURES, *_HEADERS, *_EDITS)
