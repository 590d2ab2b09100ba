# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases by version: from a mirror over HTTP, verified, resumed, built; what is refused."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config.kernel import KernelConfig
from lab.errors import LabError, UserError
from lab.kernel.archive import KEYS, Archive, Tarball, fetch, find_folders
from lab.kernel.resolve import resolve
from tests.helpers.lab import lab
from tests.helpers.project import PROJECT
from tests.helpers.releases import (
    Mirror,
    Signer,
    fill_folder,
    make_signer,
    pack_tree,
    run_gpg,
    serve_mirror,
)

V = "6.1.1"
XZ, LIST, SIGN = (f"/v6.x/{name}" for name in (f"linux-{V}.tar.xz", "sha256sums.asc",
                                               f"linux-{V}.tar.sign"))  # fmt: skip
PATCH = "--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    with make_signer() as made:
        yield made


@pytest.fixture(scope="module")
def stranger() -> Iterator[Signer]:
    with make_signer() as made:
        yield made


@pytest.fixture(scope="module")
def tar() -> bytes:
    # Of a size that comes in several pieces, and that xz cannot make smaller.
    return pack_tree(V, {"noise": hashlib.shake_256(b"noise").digest(600_000)})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def mirror(signer: Signer, tar: bytes) -> Iterator[Mirror]:
    with serve_mirror() as made:
        made.put("v6.x", fill_folder(V, tar, signer))
        yield made


def ask(mirror: str, signer: Signer | None, *more: str, version: str = V) -> Tarball:
    keyring = signer.public if signer else None
    return fetch(version, Archive((mirror, *more), keyring), lambda _: None)


def parts(cache: Path) -> list[Path]:
    return list((cache / "release").glob("*.part"))


def test_where_kernel_org_keeps_a_release() -> None:
    assert find_folders("3.19.8") == ("v3.x",)
    assert find_folders("6.1") == ("v6.x",)
    assert find_folders("2.6.32") == ("v2.6",)
    assert find_folders("2.6.32.71") == ("v2.6", "v2.6/longterm/v2.6.32")


def test_a_release_is_verified_by_the_signed_list_and_then_in_the_cache(
    mirror: Mirror, signer: Signer
) -> None:
    found = ask(mirror.url, signer)
    assert found.file.read_bytes() == mirror.files[XZ]
    assert (found.proof, found.signer) == ("sha256sums.asc", signer.fingerprint)
    assert found.sha256 in str(found.file)
    asked = len(mirror.asked)
    assert ask(mirror.url, signer) == found
    assert len(mirror.asked) == asked
    found.file.write_bytes(b"damaged")
    assert ask(mirror.url, signer).file.read_bytes() == mirror.files[XZ]


def test_what_other_keys_verified_is_not_taken_from_the_cache(
    mirror: Mirror, signer: Signer
) -> None:
    ask(mirror.url, signer)
    with pytest.raises(UserError, match="signed by a key that neither the lab nor `keyring:` has"):
        ask(mirror.url, None)


def test_a_wrong_hash(mirror: Mirror, signer: Signer, cache: Path) -> None:
    mirror.files[XZ] = mirror.files[XZ][:-1] + b"?"
    with pytest.raises(LabError, match=r"is not the file that sha256sums.asc names: its sha256 is"):
        ask(mirror.url, signer)
    assert parts(cache) == []
    assert not list((cache / "release").glob("*/linux*"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(b"0000", b"0001", 1), "it was changed after it was signed"),
        (lambda text: re.sub(rb"-----BEGIN PGP SIG.*", b"", text, flags=re.DOTALL), "no signature"),
        (lambda text: text.split(b"\n\n")[1], "no signature that gpgv can read"),
        (lambda _: b"", "no signature that gpgv can read"),
    ],
)
def test_a_wrong_signature_of_the_list(
    mirror: Mirror, signer: Signer, change: object, said: str
) -> None:
    assert callable(change)
    mirror.files[LIST] = change(mirror.files[LIST])
    with pytest.raises(LabError, match=said):
        ask(mirror.url, signer)
    assert XZ not in [path for path, _ in mirror.asked]


def test_what_stands_outside_of_the_signed_text_does_not_count(
    mirror: Mirror, signer: Signer
) -> None:
    line = f"{'1' * 64}  linux-9.9.9.tar.xz\n".encode()
    mirror.files[LIST] = line + mirror.files[LIST] + line
    with pytest.raises((UserError, LabError)):
        ask(mirror.url, signer, version="9.9.9")
    assert not [path for path, _ in mirror.asked if path.endswith("9.9.9.tar.xz")]


def test_without_a_line_the_tarballs_own_signature_decides(
    mirror: Mirror, signer: Signer, tar: bytes
) -> None:
    mirror.put("v6.x", fill_folder(V, tar, signer, listed=False))
    found = ask(mirror.url, signer)
    assert (found.proof, found.signer) == (f"linux-{V}.tar.sign", signer.fingerprint)


def test_a_list_by_an_unknown_key_leaves_it_to_the_tarballs_signature(
    mirror: Mirror, signer: Signer, stranger: Signer, tar: bytes
) -> None:
    mirror.files[LIST] = fill_folder(V, tar, stranger)["sha256sums.asc"]
    assert ask(mirror.url, signer).proof == f"linux-{V}.tar.sign"
    mirror.files[SIGN] = stranger.sign(tar)
    with pytest.raises(UserError, match=r"neither the lab nor `keyring:` has, and so is linux-"):
        ask(mirror.url, None)


def test_a_wrong_signature_of_the_tarball(
    mirror: Mirror, signer: Signer, tar: bytes, cache: Path
) -> None:
    del mirror.files[LIST]
    mirror.files[SIGN] = signer.sign(tar + b"?")
    with pytest.raises(LabError, match=r"the signature of .*linux-6.1.1.tar.xz is wrong"):
        ask(mirror.url, signer)
    mirror.files[SIGN] = signer.sign(tar)
    mirror.files[XZ] = b"not xz"
    with pytest.raises(LabError, match=r"is cut off or is not an \.xz file"):
        ask(mirror.url, signer)
    assert parts(cache) == []


def test_an_unknown_release(mirror: Mirror, signer: Signer) -> None:
    said = r"release 6.1.99: .*sha256sums.asc does not name it, and there is no .*6.1.99.tar.sign$"
    with pytest.raises(UserError, match=said):
        ask(mirror.url, signer, version="6.1.99")
    with pytest.raises(UserError, match=r"there is no .*v7.x/sha256sums.asc, and there is no"):
        ask(mirror.url, signer, version="7.1")


def test_an_interrupted_download_goes_on_where_it_was(mirror: Mirror, signer: Signer) -> None:
    mirror.cuts = [1000, 500]
    assert ask(mirror.url, signer).file.read_bytes() == mirror.files[XZ]
    assert [r for path, r in mirror.asked if path == XZ] == ["", "bytes=1000-", "bytes=1500-"]


def test_a_download_that_keeps_ending_early_goes_on_with_the_next_call(
    mirror: Mirror, signer: Signer, cache: Path
) -> None:
    mirror.cuts = [1000, 500, 0]
    with pytest.raises(LabError, match=r"ended early 3 times, after 1500 bytes in all: "):
        ask(mirror.url, signer)
    assert [path.stat().st_size for path in parts(cache)] == [1500]
    assert ask(mirror.url, signer).file.read_bytes() == mirror.files[XZ]
    assert mirror.asked[-1] == (XZ, "bytes=1500-")
    assert parts(cache) == []


def test_a_mirror_that_cannot_send_a_part_sends_the_whole(mirror: Mirror, signer: Signer) -> None:
    mirror.ranges, mirror.cuts = False, [1000]
    assert ask(mirror.url, signer).file.read_bytes() == mirror.files[XZ]


@pytest.mark.parametrize("length", [10, 10_000_000])
def test_a_part_of_something_else_is_thrown_away(
    mirror: Mirror, signer: Signer, cache: Path, length: int
) -> None:
    digest = ask(mirror.url, signer).file.parent.name
    for path in (cache / "release").glob("*.json"):
        path.unlink()
    (cache / "release" / f"{digest}.part").write_bytes(bytes(length))
    assert ask(mirror.url, signer).file.read_bytes() == mirror.files[XZ]


def test_a_mirror_that_redirects_is_not_followed(mirror: Mirror, signer: Signer) -> None:
    with serve_mirror() as other:
        mirror.moved_to = other.url
        with pytest.raises(UserError, match=rf"redirects to {other.url}/v6.x/sha256sums.asc: let"):
            ask(mirror.url, signer)
        assert other.asked == []


def test_without_a_network_it_says_which_file_to_put_where(signer: Signer) -> None:
    with serve_mirror() as gone:
        pass
    said = (
        r"cannot be reached \(.*\): without a network, put linux-3.19.8.tar.xz and "
        r"linux-3.19.8.tar.sign of https://cdn.kernel.org/pub/linux/kernel/v3.x into a "
        r"folder FOLDER/v3.x, and `mirror: FOLDER` into lab.yaml$"
    )
    with pytest.raises(LabError, match=said):
        ask(gone.url, signer, version="3.19.8")


def test_the_next_mirror_is_asked(mirror: Mirror, signer: Signer, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert ask(str(nothing), signer, mirror.url).origin == f"{mirror.url}{XZ}"
    with pytest.raises(UserError, match=r"release 6.1.2: there is no file .*; http://"):
        ask(str(nothing), signer, mirror.url, version="6.1.2")


@pytest.mark.parametrize("address", [False, True])
def test_a_mirror_in_a_folder(address: bool, signer: Signer, tar: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "our mirror" / "v2.6" / "longterm" / "v2.6.32"
    folder.mkdir(parents=True)
    for name, content in fill_folder("2.6.32.71", tar, signer).items():
        (folder / name).write_bytes(content)
    base = folder.parents[2]
    found = ask(base.as_uri() if address else str(base), signer, version="2.6.32.71")
    assert found.version == "2.6.32.71"
    (folder / "sha256sums.asc").unlink()
    (folder / "linux-2.6.32.71.tar.sign").unlink()
    found.file.unlink()
    with pytest.raises(UserError, match="there is no file"):
        ask(str(base), signer, version="2.6.32.71")


def test_a_proxy_of_the_environment(
    mirror: Mirror, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", mirror.url)
    ask("http://mirror.example", signer)
    assert mirror.asked[0][0] == f"http://mirror.example{LIST}"


def test_a_file_that_holds_no_key(mirror: Mirror, tmp_path: Path) -> None:
    for content, said in (
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"-----BEGIN PGP SIGNATURE-----\n", "holds no public key"),
    ):
        keyring = tmp_path / "keyring"
        if content is not None:
            keyring.write_bytes(content)
        with pytest.raises(UserError, match=f"the keyring {keyring} {said}"):
            fetch(V, Archive((mirror.url,), keyring), lambda _: None)


def test_an_armored_keyring(mirror: Mirror, signer: Signer, tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.asc"
    keyring.write_bytes(run_gpg(signer.home, "--armor", "--export"))
    assert fetch(V, Archive((mirror.url,), keyring), lambda _: None).signer == signer.fingerprint


def test_the_shipped_keys_have_the_fingerprints_of_the_page() -> None:
    page = (PROJECT / "docs" / "kernels.md").read_text()
    assert len(KEYS) == 4
    for key in KEYS:
        words = ["gpg", "--show-keys", "--with-colons", str(key)]
        listing = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        fingerprints = re.findall(r"^pub:.*\nfpr:+([0-9A-F]{40}):", listing, re.MULTILINE)
        assert len(fingerprints) == 1
        assert f"| `{fingerprints[0]}` | `{key.name}` |" in page


def test_it_is_built_as_a_tree_is(mirror: Mirror, signer: Signer, tmp_path: Path) -> None:
    patch, fragment = tmp_path / "fix.patch", tmp_path / "more.config"
    patch.write_text(PATCH)
    fragment.write_text("CONFIG_PROC_FS=y\n")
    archive = Archive((mirror.url,), signer.public)
    plain = resolve("k", KernelConfig(release=V), lambda _: None, archive)
    assert plain.image.version == V
    config = KernelConfig(release=V, patches=[patch], fragments=[fragment])
    found = resolve("k", config, lambda _: None, archive).kernel
    assert found.vmlinux is not None
    assert found.vmlinux.read_text().startswith("one\n2\nthree\n")
    facts = found.provenance
    assert (facts["source_release"], facts["source_signer"]) == (V, signer.fingerprint)
    assert list(facts["patches"]) == ["fix.patch"]
    assert f"curl -f -O https://cdn.kernel.org/pub/linux/kernel{XZ}" in facts["repeat"]
    assert found.image != plain.kernel.image


def test_the_command_and_its_configuration(mirror: Mirror, signer: Signer, tmp_path: Path) -> None:
    (tmp_path / "keys.gpg").write_bytes(signer.public.read_bytes())
    (tmp_path / "lab.yaml").write_text(
        f"mirror: [nowhere, {mirror.url}]\nkeyring: keys.gpg\nkernels: {{k: {{release: {V}}}}}\n"
    )
    done = lab("kernel", "build", V, cwd=tmp_path)
    assert done.returncode == 0
    assert f"verified  sha256sums.asc, by {signer.fingerprint}" in done.stdout
    refused = lab("kernel", "build", "6.1.77", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("lab: release 6.1.77: there is no file")
    assert len(refused.stderr.splitlines()) == 1
    refused = lab("kernel", "build", V, "--rev", "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "a release is named by its version alone" in refused.stderr
