# SPDX-License-Identifier: GPL-2.0-or-later
"""What a source says about the bug: outlines of real trees, written anew, with their variations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.kernel.build import build
from lab.kernel.reading import Reading, find, read_tree
from lab.kernel.source import TreeSource
from lab.kernel.spec import BuildSpec
from tests.helpers.kernels import MAKEFILE

TRAPS = "arch/x86/kernel/traps.c"
# The shapes of 2.6.29 to 4.1.
HANDLER = """\
/*
 * math_state_restore() saves the current math information
 */
void math_state_restore(void)
{
	struct task_struct *tsk = current;

	if (!tsk_used_math(tsk)) {
		local_irq_enable();
		/* does a slab alloc which can sleep */
		if (init_fpu(tsk)) {
			do_group_exit(SIGKILL);
			return;
		}
		local_irq_disable();
	}
	__thread_fpu_begin(tsk);
}

dotraplinkage void __kprobes
do_device_not_available(struct pt_regs *regs, long error_code)
{
	math_state_restore(); /* interrupts still off */
}
"""
ALLOCATION = """\
static inline int fpu_alloc(struct fpu *fpu)
{
	if (fpu_allocated(fpu))
		return 0;
	fpu->state = kmem_cache_alloc(task_xstate_cachep, GFP_KERNEL);
	return fpu->state ? 0 : -ENOMEM;
}
"""
PROCESS = """\
int arch_dup_task_struct(struct task_struct *dst, struct task_struct *src)
{
	*dst = *src;
	if (tsk_used_math(src)) {
		int err = fpu_alloc(&dst->thread.fpu);
		if (err)
			return err;
	}
	return 0;
}

void flush_thread(void)
{
	struct task_struct *tsk = current;

	if (!use_eager_fpu())
		free_thread_xstate(tsk);
}
"""
XSAVE = "int x;\n\nstatic enum { AUTO, ENABLE, DISABLE } eagerfpu = AUTO;\n"
HEADER, FORK = "arch/x86/include/asm/fpu-internal.h", "arch/x86/kernel/process.c"
AFFECTED = {
    TRAPS: HANDLER, HEADER: ALLOCATION, FORK: PROCESS, "arch/x86/kernel/xsave.c": XSAVE,
}  # fmt: skip
# 4.2 to 4.8.
EMBEDDED = {
    TRAPS: "dotraplinkage void\ndo_device_not_available(struct pt_regs *regs, long error_code)\n{\n"
    "\tfpu__restore(&current->thread.fpu); /* interrupts still off */\n}\n",
    "arch/x86/include/asm/fpu/types.h": "struct fpu {\n\tunion fpregs_state\t\tstate;\n};\n",
}
# From 4.9 on.
EAGER = {
    TRAPS: 'DEFINE_IDTENTRY(exc_device_not_available)\n{\n\tif (WARN(cr0, "CR0.TS was set"))\n'
    "\t\twrite_cr0(cr0);\n}\n"
}


def said(tree: dict[str, str]) -> Reading:
    return find(tree.get)


def first(reading: Reading) -> str:
    return str(reading.findings[0])


def test_an_affected_tree_is_read_from_the_trap_to_the_allocation() -> None:
    found = said(AFFECTED)
    assert found.window is True
    assert found.sentence == (
        "as the source reads, it has the window: the FPU area is allocated with GFP_KERNEL "
        f"({HEADER}:5); #NM enables interrupts before init_fpu() ({TRAPS}:9); on a processor "
        "with XSAVEOPT it switches eagerly unless eagerfpu=off is given "
        "(arch/x86/kernel/xsave.c:3)"
    )


def changed(path: str, old: str, new: str) -> Reading:
    assert re.search(old, AFFECTED[path])
    return said({**AFFECTED, path: re.sub(old, new, AFFECTED[path], count=1)})


def test_the_fix_of_the_mail_is_seen() -> None:
    plain = changed(TRAPS, r"\tlocal_irq_enable", "\tstts();\n\t\tlocal_irq_enable")
    asked = changed(
        TRAPS, r"\tlocal_irq_enable", "\tif (xen_pv_domain())\n\t\t\tstts();\n\t\tlocal_irq_enable"
    )
    assert plain.window is asked.window is False
    assert first(plain) == f"#NM sets CR0.TS before it may sleep ({TRAPS}:9)"
    assert first(asked) == f"#NM sets CR0.TS before it may sleep ({TRAPS}:10)"
    # A comment is not code, and stts() behind the sleep is not the fix.
    assert changed(TRAPS, r"/\* does a slab", "/* stts(); does a slab").window is True
    assert changed(TRAPS, r"do_group_exit\(SIGKILL\)", "stts()").window is True


def test_an_allocation_that_does_not_sleep_is_seen() -> None:
    found = changed(HEADER, "GFP_KERNEL", "GFP_ATOMIC")
    assert found.window is False
    assert first(found) == f"the FPU area is allocated with GFP_ATOMIC ({HEADER}:5)"
    found = changed(TRAPS, r"\t\tlocal_irq_enable\(\);\n", "")
    assert found.window is False
    assert "without interrupts enabled" in first(found)


def test_an_area_that_every_task_gets_at_fork_is_seen() -> None:
    early = PROCESS.replace("if (tsk_used_math(src)) {", "{")
    # exec gives it back: the next first use allocates again.
    assert said({**AFFECTED, FORK: early}).window is True
    found = said({**AFFECTED, FORK: early.replace("free_thread_xstate(tsk)", "finit(tsk)")})
    assert found.window is False
    assert first(found) == f"fork allocates the FPU area of every task ({FORK}:5)"


def test_eager_by_default_is_said_and_does_not_decide() -> None:
    found = changed("arch/x86/kernel/xsave.c", "= AUTO", "= ENABLE")
    assert found.window is True
    assert "it switches eagerly unless eagerfpu=off is given" in found.sentence


def test_later_versions_do_not_allocate() -> None:
    found = said(EMBEDDED)
    assert found.window is False
    assert found.sentence == (
        "as the source reads, it does not have the window: the FPU area is part of the task, so "
        "that #NM does not allocate (arch/x86/include/asm/fpu/types.h:2); #NM only calls "
        f"fpu__restore() ({TRAPS}:4)"
    )
    always = "static __always_inline bool use_eager_fpu(void)\n{\n\treturn true;\n}\n"
    found = said({**EMBEDDED, "arch/x86/include/asm/fpu/internal.h": always})
    assert "it always switches eagerly" in found.sentence
    found = said(EAGER)
    assert found.window is False
    assert first(found) == f"#NM restores nothing: FPU switching is always eager ({TRAPS}:2)"


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {TRAPS: "int x;\n"},
        {**AFFECTED, HEADER: "int x;\n"},
        {TRAPS: EMBEDDED[TRAPS]},
        {TRAPS: EAGER[TRAPS].replace("WARN(cr0", "!fpu_lazy_load() && WARN(cr0")},
    ],
)
def test_what_is_not_recognized_is_not_judged(tree: dict[str, str]) -> None:
    found = said(tree)
    assert (found.window, found.sentence) == (None, "")


def test_the_reading_is_kept_with_the_kernel(tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    for name, text in {**EMBEDDED, "Makefile": MAKEFILE, "Kbuild": "", "main.c": "x\n"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    names = "X86_64 XEN HVC_XEN SERIAL_8250_CONSOLE BLK_DEV_INITRD BINFMT_ELF PROC_FS SLUB_DEBUG "
    vital = [f"CONFIG_{name}" for name in (names + "PREEMPT_VOLUNTARY").split()]
    (tree / "Kconfig.names").write_text("".join(f"{name}=\n" for name in vital))
    (tree / "Kconfig").write_text("".join(f"config {n.removeprefix('CONFIG_')}\n" for n in vital))
    base = tmp_path / "base.config"
    base.write_text("".join(f"{name}=y\n" for name in vital))
    said: list[str] = []
    kernel = build(BuildSpec("k", TreeSource(tree), base=(base,)), said.append)
    assert kernel.reading == read_tree(tree).sentence
    assert f"note: {kernel.reading}" in said
    assert kernel.provenance["reading"]["window"] is False
    # A control has code of its own.
    assert build(BuildSpec("k", TreeSource(tree)), said.append).reading == ""
