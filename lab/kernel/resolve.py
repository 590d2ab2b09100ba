# SPDX-License-Identifier: GPL-2.0-or-later
"""From a kernel's entry in lab.yaml to a file that boots, with its provenance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.config.kernel import KernelConfig
from lab.errors import UserError
from lab.kernel import image as bzimage
from lab.kernel.archive import Archive
from lab.kernel.kernel import Bootable, Kernel
from lab.system import debian, rpm
from lab.system.answers import cached_sha256


def resolve(
    name: str,
    config: KernelConfig,
    report: Callable[[str], None],
    archive: Archive | None = None,
) -> Bootable:
    """Find, download or build a kernel and look into its image; UserError when it is not there.

    ``archive``: where releases come from; kernel.org by default.
    """
    kernel = _find_kernel(name, config, report, archive or Archive())
    return Bootable(kernel, bzimage.read(kernel.image))


def _find_kernel(
    name: str, config: KernelConfig, report: Callable[[str], None], archive: Archive
) -> Kernel:
    if config.control is not None:
        from lab.kernel.control import build_control

        return build_control(config.control, report)
    if config.tree is not None:
        from lab.kernel.tree import build_tree

        return build_tree(
            name, config.tree, config.rev, config.patches, report,
            fragments=config.fragments, make=config.make, compiler=config.compiler,
            config=config.config,
        )  # fmt: skip
    if config.release is not None:
        from lab.kernel.tree import build_release

        return build_release(
            name, config.release, archive, config.patches, report,
            fragments=config.fragments, make=config.make, compiler=config.compiler,
            config=config.config,
        )  # fmt: skip
    if config.image is not None:
        if not config.image.is_file():
            raise UserError(f"kernels.{name}.image: there is no file {config.image}")
        provenance = {"source": "image", **_identify(config.image)}
        return Kernel(name, config.image, provenance, vmlinux=_find_symbols(config.image))
    if config.rpm is not None:
        package = rpm.read_rpm(config.rpm)
        return _take_package(name, package, rpm.unpack(package))
    if config.deb is not None:
        return _take_deb(name, debian.read_deb(config.deb))
    assert config.package is not None
    return _take_deb(name, debian.download(_find_image_package(config.package)))


def _find_symbols(image: Path) -> Path | None:
    """A vmlinux beside the image, for capsules and traces. Others report a damaged image."""
    from lab.kernel import symbols

    try:
        return symbols.find_beside(image)
    except UserError:
        return None


def _find_image_package(name: str) -> str:
    """A meta-package such as linux-image-amd64 stands for the kernel that it depends on."""
    debian.find_candidate(name)
    for dependency in debian.find_dependencies(name):
        if dependency.startswith("linux-image-"):
            return dependency
    return name


def _take_deb(name: str, package: debian.Package) -> Kernel:
    return _take_package(name, package, debian.unpack(package))


def _take_package(name: str, package: debian.Package | rpm.Rpm, root: Path) -> Kernel:
    """The one kernel among a package's files, in /boot or with its modules."""
    folders = [root / "boot", *root.glob("lib/modules/*"), *root.glob("usr/lib/modules/*")]
    images = _find_files(folders, "vmlinu[xz]")
    if len(images) != 1:
        raise UserError(
            f"kernels.{name}: the package {package.name} holds {len(images)} kernels, one is "
            "wanted; name one that holds vmlinuz: linux-image-*, kernel-core or kernel-default"
        )
    config = next(iter(_find_files(folders, "config")), None)
    provenance = {"source": "package", **package.provenance(), **_identify(images[0])}
    provenance["package_sha256"] = package.sha256
    return Kernel(name, images[0], provenance, config)


def _find_files(folders: list[Path], name: str) -> list[Path]:
    """Files of that name, or with a version behind it."""
    found = (
        path for folder in folders for word in (name, f"{name}-*") for path in folder.glob(word)
    )
    return sorted(path for path in found if path.is_file())


def _identify(image: Path) -> dict[str, str]:
    return {"image": str(image), "sha256": cached_sha256(image)}
