# SPDX-License-Identifier: GPL-2.0-or-later
"""Libvirt's domains. The one owner of libvirt.

``qemu:///embed`` keeps its state in a folder and needs no daemon. A process can open it for one
folder only, and holds it until it ends; no other process may use that folder meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.system.files import write_atomic

_QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
"""


class Domains:
    """Opened by its first use. ``root``: the embedded driver's folder; ``uri``: another libvirt."""

    def __init__(self, uri: str | None, root: Path) -> None:
        self._uri = uri
        self._root = root
        self._opened: Any = None

    def version(self) -> str:
        return str(self._connection().getLibVersion())

    def active(self, name: str) -> bool:
        return self._find(name) is not None

    def create(self, xml: str) -> None:
        """Start a transient domain; LabError when libvirt or QEMU refuses."""
        with _as_lab_error("libvirt could not start the Xen host"):
            self._connection().createXML(xml, 0)

    def save(self, name: str, file: Path) -> None:
        """Write the domain's memory and devices to ``file``; the domain ends with that."""
        domain = self._find(name)
        if domain is None:
            raise LabError(f"the domain {name} does not run and cannot be saved")
        with _as_lab_error("libvirt could not save the Xen host"):
            domain.save(str(file))

    def restore(self, file: Path, xml: str) -> None:
        """Start a saved domain where it was, as ``xml`` has it: it may differ in ports and paths
        of this side only. LabError when that fails.
        """
        with _as_lab_error("libvirt could not resume the Xen host"):
            self._connection().restoreFlags(str(file), xml, 0)

    def destroy(self, name: str) -> None:
        """End it where it runs."""
        domain = self._find(name)
        if domain is not None:
            import libvirt

            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _find(self, name: str) -> Any:
        found = self._connection().listAllDomains()
        return next((domain for domain in found if domain.name() == name), None)

    def _connection(self) -> Any:
        if self._opened is None:
            self._opened = _open(self._uri, self._root)
        return self._opened


def prepare_embedded(root: Path) -> str:
    """Write the embedded driver's settings into its folder, and return its URI."""
    (root / "etc").mkdir(exist_ok=True)
    # As root the driver would give its files to libvirt-qemu; as anyone else it must not try.
    owner = 'user = "root"\ngroup = "root"\n' if os.geteuid() == 0 else ""
    write_atomic(root / "etc" / "qemu.conf", _QEMU_CONF + owner)
    return f"qemu:///embed?root={root}"


@contextlib.contextmanager
def _as_lab_error(what: str) -> Any:
    import libvirt

    try:
        yield
    except libvirt.libvirtError as error:
        raise LabError(f"{what}: {error}") from error


def _open(uri: str | None, root: Path) -> Any:
    root.mkdir(parents=True, exist_ok=True)
    # Read when libvirt's module is imported. Its warnings (a tainted domain, for one) are not
    # for a person's terminal.
    os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", f"3:file:{root}/libvirt.log")
    try:
        import libvirt
    except ImportError as error:
        raise LabError(f"libvirt's Python module is missing: {error}") from error
    uri = prepare_embedded(root) if uri is None else uri
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    _event_loop(libvirt)
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise LabError(f"libvirt does not open {uri}: {error}; see {root}/libvirt.log") from error


_loop_lock = threading.Lock()
_loop_runs = False


def _event_loop(libvirt: Any) -> None:
    """The embedded driver needs a running event loop in its process; one, before any open."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.virEventRegisterDefaultImpl()

        def loop() -> None:
            while True:
                libvirt.virEventRunDefaultImpl()

        threading.Thread(target=loop, daemon=True, name="libvirt").start()
        _loop_runs = True
