# SPDX-License-Identifier: GPL-2.0-or-later
"""What a link lacks, and the option that brings it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kernel.build import build
from lab.kernel.kconfig import read_config
from lab.kernel.make import BuildFailed
from lab.kernel.missing import Missing, Use, defines, explain, find, find_gates, read_uses
from lab.kernel.source import TreeSource
from lab.kernel.spec import BuildSpec

# As binutils 2.40 writes it, without and with debug information.
PLAIN = """\
/usr/bin/ld: lib/kobject_uevent.o: in function `kobject_uevent_env':
kobject_uevent.c:(.text+0xa): undefined reference to `skb_put'
/usr/bin/ld: kobject_uevent.c:(.text+0x12): undefined reference to `kfree_skb'
collect2: error: ld returned 1 exit status
"""
ARCHIVE = """\
ld: warning: .tmp_vmlinux1 has a LOAD segment with RWX permissions
ld: lib/lib.a(kobject_uevent.o): in function `kobject_uevent_env':
kobject_uevent.c:(.text+0x405): undefined reference to `skb_put'
kobject_uevent.c:(.text+0x415): undefined reference to `kfree_skb'
"""
LINES = """\
/usr/bin/ld: built-in.o: in function `kobject_uevent_env':
lib/kobject_uevent.c:2: undefined reference to `skb_put'
/usr/bin/ld: lib/kobject_uevent.c:2: undefined reference to `kfree_skb'
"""
# As gcc 12 does.
UNDECLARED = (
    "drivers/x.c:1:16: error: implicit declaration of function \N{LEFT SINGLE QUOTATION MARK}"
    "ip_rcv\N{RIGHT SINGLE QUOTATION MARK} [-Werror=implicit-function-declaration]\n"
)
SOURCES = {
    "Makefile": "core-y := lib/\nnet-y\t\t:= net/\ndrivers-y := drivers/\n",
    "lib/Makefile": "obj-y += kobject_uevent.o\n",
    "lib/kobject_uevent.c": "int kobject_uevent_env(void)\n{\n\tkfree_skb(0);\n}\n",
    "drivers/Makefile": "obj-$(CONFIG_NETDEVICES) += net/\n",
    "drivers/net/Makefile": "obj-y += one.o\n",
    "drivers/net/one.c": "static void kfree_skb(void)\n{\n}\n",
    "net/Makefile": "obj-y := nonet.o\nobj-$(CONFIG_NET)\t:= socket.o core/ \\\n\t\tsched/\n"
    "obj-$(CONFIG_INET)\t+= ipv4/\nobj-$(CONFIG_NET) += ipv4/ # both\n",
    "net/core/Makefile": "obj-y := sock.o \\\n\t skbuff.o\nifdef CONFIG_XFRM\nobj-y += flow.o\n"
    "else\nobj-y += noflow.o\nendif\n",
    "net/core/skbuff.c": "void kfree_skb(struct sk_buff *skb)\n{\n}\nEXPORT_SYMBOL(kfree_skb);\n"
    "void *skb_put(struct sk_buff *skb,\n\t      int len)\n{\n}\n",
    "net/core/flow.c": "",
    "net/core/noflow.c": "",
    "net/ipv4/Makefile": "obj-y := ip.o\nobj-$(CONFIG_INET_X) += ipx.o\nipx-y := ip_x.o\n"
    "ipx-$(CONFIG_INET_MORE) += ip_more.o\n",
    "net/ipv4/ip.c": "int ip_rcv(void)\n{\n}\n",
    "net/ipv4/ip_more.c": "",
}
KNOWN = {"CONFIG_NET", "CONFIG_INET"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "linux"
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("log", [PLAIN, ARCHIVE, LINES])
def test_the_linkers_words_are_read(log: str) -> None:
    user = "lib/kobject_uevent.c"
    assert read_uses(log) == [Use("skb_put", user), Use("kfree_skb", user)]
    assert read_uses(f"{log}$ make bzImage\n  CC x.o\n") == []


def test_the_compilers_words_are_read() -> None:
    assert read_uses(UNDECLARED) == [Use("ip_rcv", "drivers/x.c")]


def test_the_option_of_a_symbol_is_found(tree: Path) -> None:
    found = find(PLAIN, tree, {}, KNOWN)
    assert found[1] == Missing(
        Use("kfree_skb", "lib/kobject_uevent.c"), "net/core/skbuff.c", ("CONFIG_NET",)
    )
    assert explain(found) == (
        "lib/kobject_uevent.c needs skb_put of net/core/skbuff.c, and kfree_skb likewise: built "
        "once more with CONFIG_NET=y"
    )
    assert find(UNDECLARED, tree, {}, KNOWN)[0].options == ("CONFIG_INET",)
    # It is on, or the tree does not have it: the option is not what is missing.
    assert not find(PLAIN, tree, {"CONFIG_NET": "y"}, KNOWN)
    assert not find(PLAIN, tree, {}, set())
    assert not find("x.c:1:2: error: broken\n", tree, {}, KNOWN)


@pytest.mark.parametrize(
    ("path", "gates"),
    [
        ("lib/kobject_uevent.c", []),
        ("net/core/skbuff.c", ["CONFIG_NET"]),
        ("net/core/flow.c", ["CONFIG_XFRM", "CONFIG_NET"]),
        ("net/core/noflow.c", ["CONFIG_NET"]),
        ("net/ipv4/ip_more.c", ["CONFIG_INET_MORE", "CONFIG_INET_X", "CONFIG_INET"]),
        ("drivers/net/one.c", ["CONFIG_NETDEVICES"]),
        ("net/nowhere.c", []),
    ],
)
def test_the_makefiles_above_a_file_say_what_it_is_built_by(
    tree: Path, path: str, gates: list[str]
) -> None:
    def read(name: str) -> str | None:
        return (tree / name).read_text() if (tree / name).is_file() else None

    assert find_gates(path, read) == gates


def test_what_a_definition_is() -> None:
    assert defines("struct x *\nf(void);\nint f(int a,\n\tint b)\n{\n", "f")
    assert defines("int f[3] = { 1 };\n", "f")
    assert defines("ENTRY(f)\n", "f")
    assert not defines("int f(void);\n", "f")
    assert not defines("static int f(void)\n{\n", "f")
    assert not defines("extern int f;\n", "f")
    assert not defines("int g(void)\n{\n\tf(1);\n}\n", "f")


BUILD = """\
allnoconfig:
\t@mkdir -p $(O)
\t@cat $(KCONFIG_ALLCONFIG) >$(O)/.config
bzImage:
\t@echo built >>$(O)/count
\t@if ! grep -q CONFIG_NET=y $(O)/.config; then cat link.log >&2; exit 1; fi
\t@if grep -q worse lib/kobject_uevent.c; then echo "x.c:1: error: worse" >&2; exit 1; fi
\t@mkdir -p $(O)/arch/x86/boot
\t@cp lib/kobject_uevent.c $(O)/arch/x86/boot/bzImage
\t@cp lib/kobject_uevent.c $(O)/vmlinux
"""


@pytest.fixture
def vendor(tree: Path) -> Path:
    """A tree that links with CONFIG_NET only."""
    (tree / "Makefile").write_text(SOURCES["Makefile"] + BUILD)
    (tree / "Kbuild").touch()
    (tree / "Kconfig").write_text("config NET\n\tbool\n")
    (tree / "link.log").write_text(PLAIN)
    return tree


def times_built(cache: Path) -> int:
    return sum(len(path.read_text().split()) for path in cache.rglob("count"))


def test_a_tree_that_needs_more_is_built_once_more_with_it(vendor: Path, cache: Path) -> None:
    said: list[str] = []
    kernel = build(BuildSpec("k", TreeSource(vendor)), said.append)
    assert kernel.config is not None
    assert read_config(kernel.config.read_text()) == {"CONFIG_NET": "y"}
    assert kernel.provenance["added"] == ["CONFIG_NET"]
    assert f"note: {kernel.provenance['notes'][-1]}" in said
    assert "CONFIG_NET=y" in kernel.image.with_name("fragments.config").read_text()
    assert times_built(cache) == 2


def test_it_is_tried_once_and_both_errors_are_said(vendor: Path, cache: Path) -> None:
    (vendor / "lib/kobject_uevent.c").write_text("worse\n")
    with pytest.raises(BuildFailed, match=r"undefined reference .* failed again: x\.c:1: error"):
        build(BuildSpec("k", TreeSource(vendor)), lambda _: None)
    assert times_built(cache) == 2


def test_what_no_option_brings_fails_as_before(vendor: Path, cache: Path) -> None:
    (vendor / "link.log").write_text("x.c:3: undefined reference to `nowhere'\n")
    with pytest.raises(BuildFailed, match="undefined reference to `nowhere' \\(all of it"):
        build(BuildSpec("k", TreeSource(vendor)), lambda _: None)
    assert times_built(cache) == 1
