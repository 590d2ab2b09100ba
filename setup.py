# SPDX-License-Identifier: GPL-2.0-or-later
"""What pyproject.toml cannot say: data from the top of the repository goes into lab/_data.

lab/system/project.py finds it there, or in a checkout (also one installed by `pip install -e`)
where it lies.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

# Package: folder, and its files.
DATA = {
    "lab._data": (".", ["lab.yaml", "packages.txt"]),
    "lab._data.images": ("images", ["**/*"]),
    "lab._data.plans": ("plans", ["*.yaml"]),
    "lab._data.repro": ("repro", ["*.c", "*.h", "Makefile", "README.md", "probe/*"]),
}


class Build(build_py):
    """Takes no modules from the folders of the data: this file lies in one of them."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Name of the package, name of the module and file, of each."""
        return [] if package in DATA else super().find_package_modules(package, package_dir)


setup(
    packages=[*find_packages(include=["lab", "lab.*", "playbooks"]), *DATA],
    package_dir={package: folder for package, (folder, _) in DATA.items()},
    package_data={
        "lab": ["py.typed"],
        "lab.kernel": ["keys/*"],
        "lab.page": ["templates/*"],
        **{name: files for name, (_, files) in DATA.items()},
    },
    cmdclass={"build_py": Build},
)
