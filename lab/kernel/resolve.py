"""From a kernel's entry in lab.yaml to a file that boots, with its provenance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.config.kernel import KernelConfig
from lab.errors import UserError
from lab.kernel import image as bzimage
from lab.kernel.image import BzImage
from lab.kernel.kernel import Kernel
from lab.system import debian
from lab.system.answers import cached_sha256

# eagerfpu= exists since 3.7 (5d2bd7009f30) and until 4.8; facts: eager by default on a processor
# with XSAVEOPT (3.7..4.5) or on every one (4.6..4.8), and an eager kernel has no window.
_EAGERFPU = ((3, 7), (4, 8))
# Before ("hvc_xen: support PV on HVM consoles") an hvm guest speaks on an emulated port only.
_HVM_CONSOLE = (3, 4)


@dataclass(frozen=True)
class Bootable:
    """A kernel with what its image says of itself."""

    kernel: Kernel
    image: BzImage

    @property
    def needed_args(self) -> str:
        """Boot arguments without which a run on this version proves nothing."""
        first, last = _EAGERFPU
        return "eagerfpu=off" if first <= self.image.release <= last else ""

    def console_as(self, guest: str) -> str:
        """The console that this version has as a guest of Xen."""
        known = (0, 0) < self.image.release < _HVM_CONSOLE
        return "ttyS0" if guest == "hvm" and known else "hvc0"

    def impossible_as(self, guest: str) -> str | None:
        """Why Xen cannot start this kernel as a guest kind; None when it may."""
        if guest in ("dom0", "pv") and self.image.pv is False:
            return "it has no Xen PV entry (no XEN_ELFNOTE_ENTRY: CONFIG_XEN_PV is off)"
        if guest == "dom0" and self._lacks("CONFIG_XEN_DOM0"):
            return "its configuration has no CONFIG_XEN_DOM0, which Linux knows since 2.6.37"
        if guest == "pvh" and self.image.pvh is False:
            return "it has no PVH entry (no XEN_ELFNOTE_PHYS32_ENTRY: CONFIG_PVH is off or too old)"
        return None

    def _lacks(self, option: str) -> bool:
        """Whether the kernel is known to be without it; of an image without .config, nothing is."""
        config = self.kernel.config
        return config is not None and f"{option}=y" not in config.read_text().splitlines()


def resolve(name: str, config: KernelConfig, report: Callable[[str], None]) -> Bootable:
    """Find, download or build a kernel and look into its image; UserError when it is not there."""
    kernel = _kernel(name, config, report)
    return Bootable(kernel, bzimage.read(kernel.image))


def _kernel(name: str, config: KernelConfig, report: Callable[[str], None]) -> Kernel:
    if config.control is not None:
        from lab.kernel.control import control_kernel

        return control_kernel(config.control, report)
    if config.tree is not None:
        from lab.kernel.tree import tree_kernel

        return tree_kernel(
            name, config.tree, config.rev, config.patches, report,
            fragments=config.fragments, make=config.make, compiler=config.compiler,
        )  # fmt: skip
    if config.image is not None:
        if not config.image.is_file():
            raise UserError(f"kernels.{name}.image: there is no file {config.image}")
        provenance = {"source": "image", **_identity(config.image)}
        return Kernel(name, config.image, provenance, vmlinux=_symbols(config.image))
    if config.deb is not None:
        return _from_package(name, debian.of_file(config.deb))
    assert config.package is not None
    return _from_package(name, debian.download(_image_package(config.package)))


def _symbols(image: Path) -> Path | None:
    """A vmlinux beside the image, for capsules and traces; a damaged image is told elsewhere."""
    from lab.kernel import symbols

    try:
        return symbols.beside(image)
    except UserError:
        return None


def _image_package(name: str) -> str:
    """A meta-package such as linux-image-amd64 stands for the kernel that it depends on."""
    debian.candidate(name)
    for dependency in debian.depends(name):
        if dependency.startswith("linux-image-"):
            return dependency
    return name


def _from_package(name: str, package: debian.Package) -> Kernel:
    boot = debian.unpack(package) / "boot"
    images = sorted(boot.glob("vmlinu[xz]-*"))
    if len(images) != 1:
        raise UserError(
            f"kernels.{name}: the package {package.name} holds {len(images)} kernels in /boot, "
            "one is wanted; name a linux-image package"
        )
    config = next(iter(boot.glob("config-*")), None)
    provenance = {"source": "package", **package.provenance(), **_identity(images[0])}
    provenance["package_sha256"] = package.sha256
    return Kernel(name, images[0], provenance, config)


def _identity(image: Path) -> dict[str, str]:
    return {"image": str(image), "sha256": cached_sha256(image)}
