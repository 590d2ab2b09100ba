"""What is made as text: command lines, domain XML, xl configurations, archives, reports."""

from __future__ import annotations

import gzip
import struct
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.config.cells import Cell
from lab.console import text as consoletext
from lab.errors import UserError
from lab.host.domain import HostSpec, domain_xml
from lab.host.guest import GuestSpec, xl_config
from lab.kernel import image as bzimage
from lab.kernel.image import BzImage
from lab.kernel.kernel import Kernel
from lab.kernel.resolve import Bootable
from lab.qemu.boot import Boot, command
from lab.report import junit as report
from lab.report.markdown import write_summary
from lab.supplies.ramdisk import ramdisk
from lab.trial.assignment import boot_words
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

BOOT = Boot("qemu", "tcg", Path("/k"), Path("/r"), "panic=1 a=b,c", 2, 256)
GUEST = GuestSpec("lab-x-1", "pv", "/k", "/r", "panic=1", 2, 256, True)
HOST = HostSpec(
    "h", "6c616220-646f-6d30-2069-6d6167650000", "/q", "tcg", 3072, 2, Path("/xen"),
    "console=com1,vga", Path("/vmlinuz"), "root=/dev/sda", Path("/initrd"), Path("/d.qcow2"),
    Path("/c.log"), 2222,
)  # fmt: skip


def test_native_command_has_no_network_and_one_serial_port() -> None:
    argv = command(BOOT, Path("/console"))
    assert argv[argv.index("-nic") + 1] == "none"
    assert argv[argv.index("-append") + 1] == "console=ttyS0 panic=1 a=b,c"
    assert argv[argv.index("-cpu") + 1] == "max,-smap,-smep"


def test_dom0_command_doubles_commas_in_the_module_string_only() -> None:
    boot = Boot(
        "qemu", "tcg", Path("/k"), Path("/r"), "a=b,c", 1, 256, Path("/xen"), "sync_console"
    )
    argv = command(boot, Path("/console"))
    assert argv[argv.index("-initrd") + 1] == "/k console=hvc0 a=b,,c,/r"
    assert "dom0_mem=256M,max:256M" in argv[argv.index("-append") + 1]
    assert argv[argv.index("-append") + 1].endswith("sync_console")


def test_kvm_takes_the_processor_as_it_is() -> None:
    boot = Boot("qemu", "kvm", Path("/k"), Path("/r"), "", 1, 256)
    argv = command(boot, Path("/console"))
    assert argv[argv.index("-cpu") + 1] == "host"


def test_domain_xml_opens_nothing_but_ssh_on_loopback() -> None:
    root = ET.fromstring(domain_xml(HOST))
    args = [arg.get("value", "") for arg in root.iter() if arg.tag.endswith("arg")]
    netdev = args[args.index("-netdev") + 1]
    assert netdev == "user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"
    assert args[args.index("-initrd") + 1] == "/vmlinuz root=/dev/sda,/initrd"
    assert root.get("type") == "qemu"
    assert root.find("devices/interface") is None
    serial = root.find("devices/serial/source")
    assert serial is not None
    assert serial.get("append") == "on"


def test_domain_xml_escapes_what_it_is_given() -> None:
    spec = HostSpec(**{**HOST.__dict__, "xen_args": 'x="<&>"'})
    assert "<domain" in domain_xml(spec)
    ET.fromstring(domain_xml(spec))


def test_xl_configuration_of_a_pv_guest() -> None:
    assert xl_config(GUEST) == (
        'name = "lab-x-1"\ntype = "pv"\nkernel = "/k"\nramdisk = "/r"\n'
        'cmdline = "console=hvc0 panic=1"\nvcpus = 2\nmemory = 256\n'
        'on_poweroff = "destroy"\non_reboot = "destroy"\non_crash = "destroy"\n'
        'on_watchdog = "destroy"\n'
    )


@pytest.mark.parametrize(("kind", "tsc", "vga"), [("pvh", True, False), ("hvm", True, True)])
def test_xl_configuration_of_hardware_guests(kind: str, tsc: bool, vga: bool) -> None:
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": kind}))
    assert ('tsc_mode = "native"' in text) is tsc
    assert ('vga = "none"' in text) is vga
    assert "vif" not in text
    assert "disk =" not in text.replace("ramdisk =", "")


def test_no_native_tsc_on_real_processors() -> None:
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": "hvm", "native_tsc": False}))
    assert "tsc_mode" not in text


def test_an_hvm_kernel_without_a_xen_console_gets_a_serial_port() -> None:
    assert "serial" not in xl_config(GUEST)
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": "hvm", "console": "ttyS0"}))
    assert 'cmdline = "console=ttyS0 panic=1"' in text
    assert 'serial = "pty"' in text


def test_the_ramdisk_is_an_archive_that_cpio_reads(tmp_path: Path) -> None:
    archive = ramdisk(b"\x7fELF program")
    listed = subprocess.run(["cpio", "-tv"], input=archive, capture_output=True, check=True)
    lines = listed.stdout.decode().splitlines()
    assert any(line.startswith("crw") and line.endswith("dev/console") for line in lines)
    assert any(line.startswith("-rwxr-xr-x") and line.endswith(" init") for line in lines)
    subprocess.run(["cpio", "-i", "init"], input=archive, cwd=tmp_path, check=True,
                   capture_output=True)  # fmt: skip
    assert (tmp_path / "init").read_bytes() == b"\x7fELF program"
    assert archive == ramdisk(b"\x7fELF program")


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


def test_bzimage_tells_version_and_what_xen_can_start(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bz_image(xen_note(1)))
    assert bzimage.read(image) == BzImage("3.19.8", pv=True, pvh=False, bits=64)
    image.write_bytes(bz_image(xen_note(1) + xen_note(18), "6.1.0-56-amd64"))
    assert bzimage.read(image) == BzImage("6.1.0-56-amd64", pv=True, pvh=True, bits=64)
    image.write_bytes(bz_image(b""))
    assert bzimage.read(image).pv is False
    image.write_bytes(bz_image(b"", bits=32))
    assert bzimage.read(image).bits == 32


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"MZ", "no boot header"), (bz_image(xen_note(1))[:-64], "cut off")],
)
def test_a_broken_image_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(content)
    with pytest.raises(UserError, match=words):
        bzimage.read(image)


def test_a_corrupt_payload_is_refused(tmp_path: Path) -> None:
    content = bytearray(bz_image(xen_note(1)))
    content[1024 + 12 : 1024 + 40] = bytes(28)
    image = tmp_path / "bzImage"
    image.write_bytes(content)
    with pytest.raises(UserError, match="corrupt"):
        bzimage.read(image)


@pytest.mark.parametrize(
    ("version", "args"),
    [("3.2.0", ""), ("3.7.1", "eagerfpu=off"), ("4.1.27", "eagerfpu=off"), ("4.9.1", "")],
)
def test_which_versions_need_lazy_mode_asked_for(version: str, args: str) -> None:
    bootable = Bootable(Kernel("x", Path("/k")), BzImage(version, True, True))
    assert bootable.needed_args == args


@pytest.mark.parametrize(
    ("version", "console"), [("3.2.0", "ttyS0"), ("3.4.0", "hvc0"), ("mine", "hvc0")]
)
def test_which_versions_have_a_xen_console_as_hvm(version: str, console: str) -> None:
    bootable = Bootable(Kernel("x", Path("/k")), BzImage(version, True, True))
    assert bootable.console_as("hvm") == console
    assert bootable.console_as("pv") == "hvc0"


def test_a_kernel_built_without_dom0_is_no_domain_0(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("CONFIG_XEN=y\n")
    built = Kernel("x", Path("/k"), config=config)
    bootable = Bootable(built, BzImage("2.6.32.2", True, False))
    assert "CONFIG_XEN_DOM0" in (bootable.impossible_as("dom0") or "")
    assert bootable.impossible_as("pv") is None
    config.write_text("CONFIG_XEN=y\nCONFIG_XEN_DOM0=y\n")
    assert bootable.impossible_as("dom0") is None
    assert Bootable(Kernel("x", Path("/k")), bootable.image).impossible_as("dom0") is None


def test_boot_words() -> None:
    assert boot_words({"run": "ab", "seconds": "3"}) == "mmx.run=ab mmx.seconds=3"


def test_escape_sequences_never_reach_a_terminal() -> None:
    raw = b"\x1b[2J\x1b]0;title\x07ok\x1bP1$r\x1b\\ \xc2\x9b<b>\r\n\x00\x07end"
    assert consoletext.clean(raw) == "ok <b>\nend"


def test_lockup_warnings_are_no_death_but_a_bug_is() -> None:
    assert consoletext.death(b"watchdog: BUG: soft lockup - CPU#0 stuck for 22s!") is None
    assert consoletext.death(b"[ 1.0] BUG: unable to handle kernel paging request") is not None
    assert consoletext.death(b"(XEN) Panic on CPU 0:") == "Panic on CPU 0:"
    told = consoletext.death(b"(XEN) Panic on CPU 0:\r\n(XEN) Could not construct domain 0\r\n")
    assert told == "Panic on CPU 0: Could not construct domain 0"


def test_the_summary_lets_no_markup_through() -> None:
    cell = CellVerdict(Cell("pv-x", "pv", "x"), Verdict.CRASHED, "<script>|`x`\nBUG")
    page = write_summary("Run", {"machine": "<b>"}, [cell], "lab run")
    assert "<script>" not in page
    assert "<b>" not in page
    row = next(line for line in page.splitlines() if line.startswith("| pv-x"))
    assert row.count(" | ") == 5


def test_junit_without_expectations_follows_the_verdicts() -> None:
    made = [CellVerdict(Cell(f"pv-{v.value}", "pv", "x"), v, "why") for v in Verdict]
    xml = ET.fromstring(
        report.junit("lab", [*made, CellVerdict(Cell("pvh-x", "pvh", "x"), None, "")])
    )
    kinds = {case.get("name"): [c.tag for c in case if c.tag != "system-out"]
             for case in xml.iter("testcase")}  # fmt: skip
    assert kinds == {
        "pv-CLEAN": [], "pv-VACUOUS": ["skipped"], "pv-LAB_ERROR": ["error"],
        "pv-CRASHED": ["error"], "pv-CORRUPTS": ["failure"], "pvh-x": ["skipped"],
    }  # fmt: skip
