# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches as people have them: mended where that is unambiguous and said, else refused clearly."""

from __future__ import annotations

import base64
import quopri
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.patch import mail as patchmail
from lab.system.tree import Commit, Folder
from tests.helpers.project import PROJECT

HERE = Path(__file__).parents[1] / "patches"
SEED = HERE / "xen-devel-cr0-ts.txt"
TRAPS = "arch/x86/kernel/traps.c"

OLD = """\
/* a driver that prints */
#include <linux/kernel.h>

static int count;

static int start(struct thing *thing, unsigned long flags)
{
\tint error = prepare(thing);

\tif (error)
\t\treturn error;
\tpr_info("thing: %s is being started with the flags %lx by the process %s\\n", thing->name, flags);
\tcount++;
\treturn 0;
}

static void stop(struct thing *thing)
{
\tcount--;

\trelease(thing);
\tpr_info("stopped\\n");

}
"""
NEW = OLD.replace(
    "\tcount++;\n",
    "\tcount += 2; /* a remark that makes the line as long as mailers like - 80 */\n",
)
NEW = NEW.replace("\trelease(thing);\n", "\tif (thing)\n\t\trelease(thing);\n")


def git(*words: str, cwd: Path) -> str:
    settings = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *settings, *words], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "thing.c").write_text(OLD)
    (folder / "old.txt").write_text("one\ntwo\nthree")
    return folder


@pytest.fixture
def seed_tree(tmp_path: Path) -> Path:
    file = tmp_path / "linux" / TRAPS
    file.parent.mkdir(parents=True)
    # At the place where Linux 4.1 has it, so that line numbers are as in the mail.
    excerpt = (HERE / "traps-4.1.c").read_text()
    before = excerpt[: excerpt.index(" * Must be called")].count("\n")
    file.write_text("/* */\n" * (836 - before) + excerpt)
    return tmp_path / "linux"


def diff() -> str:
    """The change from OLD to NEW, made by diff itself."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        for side, text in (("a", OLD), ("b", NEW)):
            file = Path(scratch) / side / "lib" / "thing.c"
            file.parent.mkdir(parents=True)
            file.write_text(text)
        done = subprocess.run(
            ["diff", "-u", "--label", "a/lib/thing.c", "--label", "b/lib/thing.c",
             "a/lib/thing.c", "b/lib/thing.c"],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
    return done.stdout


def given(tmp_path: Path, text: str | bytes, name: str = "thing.patch") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(errors="surrogateescape") if isinstance(text, str) else text)
    return path


def applied(tmp_path: Path, tree: Path, text: str | bytes, loose: bool = False) -> list[str]:
    """Apply and return the notes; the result must be exactly NEW."""
    patches = patchmail.read(given(tmp_path, text))
    fitted = patchmail.apply(patches, tree, loose=loose)
    assert (tree / "lib" / "thing.c").read_text() == NEW
    assert not (tree / ".lab.patch").exists()
    return [note for one in fitted for note in one.notes]


def refused(tmp_path: Path, tree: Path, text: str | bytes, loose: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        patchmail.apply(patchmail.read(given(tmp_path, text)), tree, loose=loose)
    assert (tree / "lib" / "thing.c").read_text() == OLD
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The seed's mail


def test_the_seed_mail_is_taken_as_it_is(seed_tree: Path) -> None:
    (patch,) = patchmail.read(SEED)
    assert patch.subject.startswith("Re: [Xen-devel] [PATCH] x86/fpu: CR0.TS should be set before")
    assert len(patch.notes) == 1
    assert "header was broken over two lines, 'smp_threshold_interrupt(void)'" in patch.notes[0]
    (fitted,) = patchmail.apply([patch], seed_tree)
    text = (seed_tree / TRAPS).read_text()
    assert "\t\tif (xen_pv_domain())\n\t\t\tstts();\n\t\tlocal_irq_enable();\n" in text
    assert "\t\tlocal_irq_disable();\n\t\tif (xen_pv_domain())\n\t\t\tclts();\n\t}\n" in text
    assert text.count("#include <xen/xen.h>\nvoid math_state_restore(void)") == 1
    assert not re.search(r"^ {2,}\S", text.replace(" * ", ""), re.MULTILINE)
    assert any("tabs had become spaces" in note for note in fitted.notes)
    assert not any("fuzz" in note or "from where it says" in note for note in fitted.notes)


def test_the_fitted_seed_applies_strictly_by_git(seed_tree: Path, tmp_path: Path) -> None:
    fitted = patchmail.fit(patchmail.read(SEED), Folder(seed_tree))
    strict = given(tmp_path, fitted[0].text, "strict.patch")
    git("apply", "--check", str(strict), cwd=seed_tree)


def older(seed_tree: Path) -> None:
    """The function as Linux 3.19 has it: no kernel_fpu_disable, 68 lines further up."""
    file = seed_tree / TRAPS
    text = file.read_text().removeprefix("/* */\n" * 68)
    start = text.index("\t/* Avoid")
    file.write_text(text[:start] + text[text.index("\t__thread_fpu_begin(tsk);") :])


def test_an_older_tree_needs_fuzz_and_the_refusal_says_so(seed_tree: Path) -> None:
    older(seed_tree)
    patches = patchmail.read(SEED)
    with pytest.raises(UserError) as caught:
        patchmail.fit(patches, Folder(seed_tree))
    message = str(caught.value)
    assert f"hunk 2 of {TRAPS} does not apply" in message
    assert "wants '/* Avoid __kernel_fpu_begin() right after __thread_fpu_begin() */'" in message
    assert "is '__thread_fpu_begin(tsk);'; --fuzz 1 would overlook that" in message
    (fitted,) = patchmail.fit(patches, Folder(seed_tree), fuzz=1)
    assert any("by fuzz, '__thread_fpu_begin(tsk);' is taken for" in n for n in fitted.notes)
    assert any("-68 from where it says" in note for note in fitted.notes)
    assert "\n \t__thread_fpu_begin(tsk);\n" in fitted.text


def read_shipped(version: str) -> list[patchmail.Patch]:
    (file,) = (PROJECT / "images" / "linux" / version).glob("*.patch")
    return patchmail.read(file)


def test_the_patch_for_4_1_is_the_mails(seed_tree: Path) -> None:
    before = (seed_tree / TRAPS).read_text()
    patchmail.apply(patchmail.read(SEED), seed_tree)
    wanted = (seed_tree / TRAPS).read_text()
    (seed_tree / TRAPS).write_text(before)
    patchmail.apply(read_shipped("4.1"), seed_tree)
    assert (seed_tree / TRAPS).read_text() == wanted


def test_the_patch_for_4_1_fits_older_trees_without_fuzz(seed_tree: Path) -> None:
    older(seed_tree)
    (fitted,) = patchmail.fit(read_shipped("4.1"), Folder(seed_tree))
    assert not any("fuzz" in note for note in fitted.notes)


def test_the_patches_for_older_versions_make_the_same_change() -> None:
    def added(version: str) -> list[str]:
        (patch,) = read_shipped(version)
        lines = [line for c in patch.changes for hunk in c.hunks for line in hunk.lines]
        return [str(line) for line in lines if str(line).startswith("+")]

    assert added("3.2") == added("4.1")
    assert added("2.6.32")[1:] == added("4.1")[1:]  # the first is the header of its time
    assert len(added("4.1")) == 8


def test_the_seed_is_refused_where_it_is_in_already(seed_tree: Path) -> None:
    patchmail.apply(patchmail.read(SEED)[:1], seed_tree)
    with pytest.raises(UserError, match=r"hunk 1 .* is in the tree already \(line 837\)"):
        patchmail.apply(patchmail.read(SEED)[:1], seed_tree)


def test_the_seed_is_refused_where_the_file_is_not(tree: Path) -> None:
    with pytest.raises(UserError, match=rf"there is no file {TRAPS} in .*tree"):
        patchmail.apply(patchmail.read(SEED)[:1], tree)


# Containers


def test_a_plain_diff(tmp_path: Path, tree: Path) -> None:
    assert applied(tmp_path, tree, diff()) == []


def mail(body: str, headers: str = "") -> str:
    return (
        "Return-Path: <a@example.org>\nFrom: A Person <a@example.org>\nSubject: [PATCH] thing:\n"
        f" count twice\nMIME-Version: 1.0\n{headers}\n{body}"
    )


def test_a_mail_with_the_diff_in_its_text(tmp_path: Path, tree: Path) -> None:
    text = mail(f"Hello,\n\nsee below:\n\n{diff()}\n-- \nA Person\n")
    assert patchmail.read(given(tmp_path, text))[0].subject == "[PATCH] thing: count twice"
    assert applied(tmp_path, tree, text) == []


def test_quoted_printable(tmp_path: Path, tree: Path) -> None:
    body = quopri.encodestring(diff().encode()).decode()
    headers = (
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
    )
    assert "=\n" in body
    assert applied(tmp_path, tree, mail(body, headers)) == [
        "its quoted-printable encoding was undone"
    ]


def test_base64_with_crlf(tmp_path: Path, tree: Path) -> None:
    body = base64.encodebytes(diff().replace("\n", "\r\n").encode()).decode()
    headers = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"
    assert applied(tmp_path, tree, mail(body, headers)) == ["its base64 encoding was undone"]


def test_format_flowed(tmp_path: Path, tree: Path) -> None:
    """As RFC 3676 wants it written: stuffed, and broken with a space kept at the end."""
    lines = []
    for line in diff().splitlines():
        stuffed = f" {line}" if line.startswith((" ", ">", "From ")) else line
        if len(stuffed) > 72:
            cut = stuffed.rindex(" ", 10, 72) + 1
            lines += [stuffed[:cut], stuffed[cut:]]
        else:
            lines.append(stuffed.rstrip())
    text = mail("\n".join(lines) + "\n", "Content-Type: text/plain; format=flowed\n")
    notes = applied(tmp_path, tree, text)
    assert notes[0] == "its format=flowed was undone"
    assert any("empty lines had lost their leading space" in note for note in notes)


def test_an_attachment(tmp_path: Path, tree: Path) -> None:
    parts = [
        'Content-Type: text/plain; charset="utf-8"\n\nAttached.\n',
        'Content-Type: text/x-patch; name="x.patch"\nContent-Transfer-Encoding: base64\n'
        'Content-Disposition: attachment; filename="x.patch"\n\n'
        + base64.encodebytes(diff().encode()).decode(),
        "Content-Type: text/html\n\n<p>Attached.</p>\n",
    ]
    body = "".join(f"--b\n{part}\n" for part in parts) + "--b--\n"
    text = mail(body, 'Content-Type: multipart/mixed; boundary="b"\n')
    assert patchmail.read(given(tmp_path, text))[0].name == "thing.patch, x.patch"
    assert applied(tmp_path, tree, text) == ["its base64 encoding was undone"]


def test_the_same_diff_inline_and_attached_counts_once(tmp_path: Path, tree: Path) -> None:
    part = f"--b\nContent-Type: text/plain\n\n{diff()}\n"
    text = mail(f"{part}{part}--b--\n", 'Content-Type: multipart/mixed; boundary="b"\n')
    applied(tmp_path, tree, text)


def test_html_only_is_refused(tmp_path: Path, tree: Path) -> None:
    text = mail(f"<pre>{diff()}</pre>", "Content-Type: text/html\n")
    assert "only as HTML" in refused(tmp_path, tree, text)


def test_a_reply_that_quotes_the_whole_diff(tmp_path: Path, tree: Path) -> None:
    quoted = "".join(f"> {line}\n" for line in diff().splitlines())
    cut = quoted.index("> -\tcount++")
    text = mail(f"On Monday somebody wrote:\n{quoted[:cut]}\nWhy twice?\n\n{quoted[cut:]}")
    notes = applied(tmp_path, tree, text)
    assert notes == ["it was taken from quoted text, without the lines that are not quoted"]


def history(folder: Path) -> None:
    """Two commits after the first: OLD to something to NEW."""
    git("init", "-q", cwd=folder)
    git("add", ".", cwd=folder)
    git("commit", "-qm", "first", cwd=folder)
    file = folder / "lib" / "thing.c"
    file.write_text(OLD.replace("count++", "count += 7"))
    git("commit", "-qam", "thing: seven\n\nFrom 2.6.26 on this is so.", cwd=folder)
    file.write_text(NEW)
    git("commit", "-qam", "thing: two", cwd=folder)


@pytest.fixture
def commits(tmp_path: Path, tree: Path) -> Path:
    """A repository whose last two commits are the patches; ``tree`` is before them."""
    folder = tmp_path / "repository"
    subprocess.run(["cp", "-r", tree, folder], check=True)
    history(folder)
    return folder


def test_an_mbox_of_git_with_a_cover_letter(tmp_path: Path, tree: Path, commits: Path) -> None:
    text = git("format-patch", "--stdout", "--cover-letter", "-2", cwd=commits)
    patches = patchmail.read(given(tmp_path, text))
    assert [p.subject for p in patches] == ["[PATCH 1/2] thing: seven", "[PATCH 2/2] thing: two"]
    assert applied(tmp_path, tree, text) == []


def test_an_mbox_in_another_order(tmp_path: Path, tree: Path, commits: Path) -> None:
    both = git("format-patch", "--stdout", "-2", cwd=commits)
    cut = both.index("\nFrom ", both.index("2.6.26") + 1) + 1
    applied(tmp_path, tree, both[cut:] + both[:cut])


def test_an_mbox_with_a_gap_or_two_versions(tmp_path: Path, tree: Path, commits: Path) -> None:
    both = git("format-patch", "--stdout", "-2", cwd=commits)
    three = both.replace("/2]", "/3]")
    assert refused(tmp_path, tree, three).endswith("patch 3/3 of the series is missing")
    assert "has patch 1/2 twice" in refused(tmp_path, tree, both + both)


def test_a_folder_of_patches(tmp_path: Path, tree: Path, commits: Path) -> None:
    out = tmp_path / "out"
    git("format-patch", "-q", "-2", "-o", str(out), cwd=commits)
    patchmail.apply(patchmail.read(out), tree)
    assert (tree / "lib" / "thing.c").read_text() == NEW


def test_a_series_file(tmp_path: Path, commits: Path) -> None:
    out = tmp_path / "out"
    git("format-patch", "-q", "--no-numbered", "-2", "-o", str(out), cwd=commits)
    first, second = sorted(p.name for p in out.iterdir())
    first_file = out / first
    first_file.rename(out / "z.patch")
    (out / "series").write_text(f"# in order\nz.patch -p1\n\n{second} # the other\n")
    for given_as in (out, out / "series"):
        assert [p.name for p in patchmail.read(given_as)] == ["z.patch", second]
    (out / "series").write_text("nothing.patch\n")
    with pytest.raises(UserError, match=r"names nothing\.patch, which is not in"):
        patchmail.read(out)


def test_a_revision_without_a_checkout(tmp_path: Path, commits: Path) -> None:
    patches = patchmail.read(given(tmp_path, diff()))
    (fitted,) = patchmail.fit(patches, Commit(commits, "HEAD~2", "linux"))
    assert "+\t\trelease(thing);" in fitted.text
    with pytest.raises(UserError, match=r"hunk 1 of lib/thing\.c is in the tree already"):
        patchmail.fit(patches, Commit(commits, "HEAD", "linux"))


# What mail programs do to lines


def wrapped(text: str, keep_space: bool) -> str:
    """Long lines broken before the word that goes beyond column 72."""
    lines: list[str] = []
    for line in text.splitlines():
        rest = line
        while len(rest) > 72 and " " in rest[12:72]:
            cut = rest.rindex(" ", 12, 72)
            lines.append(rest[: cut + 1] if keep_space else rest[:cut])
            rest = rest[cut + 1 :]
        lines.append(rest)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("keep_space", [True, False])
def test_wrapped_lines(tmp_path: Path, tree: Path, keep_space: bool) -> None:
    text = wrapped(diff(), keep_space)
    assert text.count("\n") > diff().count("\n") + 1
    notes = applied(tmp_path, tree, text)
    assert any("a line was broken" in note for note in notes)


def test_a_wrapped_line_whose_rest_looks_like_a_diff_line(tmp_path: Path, tree: Path) -> None:
    text = diff().replace(" mailers like - 80 */", " mailers like\n- 80 */")
    assert text != diff()
    notes = applied(tmp_path, tree, text)
    assert any("'- 80 */' put back behind it" in note for note in notes)


def test_a_header_broken_within_its_numbers(tmp_path: Path, tree: Path) -> None:
    text = re.sub(r"^(@@ -\S+) ", r"\1\n", diff(), flags=re.MULTILINE)
    notes = applied(tmp_path, tree, text)
    assert any("its header was broken over two lines: joined" in note for note in notes)


def test_lost_spaces_on_empty_lines(tmp_path: Path, tree: Path) -> None:
    text = re.sub(r"^ $", "", diff(), flags=re.MULTILINE)
    notes = applied(tmp_path, tree, text)
    assert all("lost their leading space" in note for note in notes)
    assert notes


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_missing_trailing_context(tmp_path: Path, tree: Path, lost: int) -> None:
    text = "".join(diff().splitlines(keepends=True)[:-lost])
    for end in ("", "\n", "\n\nRegards\n", "-- \n2.40\n"):
        (tree / "lib" / "thing.c").write_text(OLD)
        notes = applied(tmp_path, tree, text + end)
        said = f"last {lost} context lines are missing|empty lines below it are not taken"
        assert any(re.search(said, note) for note in notes)


@pytest.mark.parametrize("mark", [True, False])
def test_tabs_that_became_spaces(tmp_path: Path, tree: Path, mark: bool) -> None:
    """As a terminal or a web page shows them, the diff's mark taking a column or not."""
    lines = []
    for line in diff().splitlines():
        whole, rest = line.expandtabs(8), line[:1] + line[1:].expandtabs(8)
        lines.append(whole if mark else rest)
    notes = applied(tmp_path, tree, "\n".join(lines) + "\n")
    assert any("tabs had become spaces" in note for note in notes)


def test_other_white_space_only_when_asked(tmp_path: Path, tree: Path) -> None:
    text = diff().replace(" \tcount--;", " \t\tcount --;").replace("count --", "count--")
    assert "other white space; --ignore-whitespace would" in refused(tmp_path, tree, text)
    notes = applied(tmp_path, tree, text, loose=True)
    assert any("not compared, as asked" in note for note in notes)


def test_no_break_spaces(tmp_path: Path, tree: Path) -> None:
    text = re.sub(r"^ (?!$)", "\N{NO-BREAK SPACE}", diff(), flags=re.MULTILINE)
    assert any("no-break spaces in" in note for note in applied(tmp_path, tree, text))


def test_carriage_returns(tmp_path: Path, tree: Path) -> None:
    applied(tmp_path, tree, diff().replace("\n", "\r\n"))


def test_paths_without_a_and_b(tmp_path: Path, tree: Path) -> None:
    text = diff().replace("a/lib", "lib").replace("b/lib", "lib")
    assert any("patch -p0" in note for note in applied(tmp_path, tree, text))
    (tree / "lib" / "thing.c").write_text(OLD)
    deep = diff().replace("a/lib", "linux/x/lib").replace("b/lib", "linux/x/lib")
    assert any("patch -p2" in note for note in applied(tmp_path, tree, deep))


def test_time_stamps_behind_the_paths(tmp_path: Path, tree: Path) -> None:
    stamp = "\t2013-11-06 14:41:12.000000000 +0800"
    applied(tmp_path, tree, re.sub(r"^((?:---|\+\+\+) .*)$", rf"\1{stamp}", diff(), flags=re.M))


# Refusals


def change(old: str, new: str) -> Callable[[], str]:
    def made() -> str:
        text = diff()
        assert old in text
        return text.replace(old, new, 1)

    return made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lambda: "Hello, no patch here.\n", ["it holds no diff"]),
        (lambda: "", ["it holds no diff"]),
        (change(" \tcount--;\n", ""), ["hunk 2 of lib/thing.c should have", "there before"]),
        (change("+\tif (thing)\n", ""), ["hunk 2 of lib/thing.c should have"]),
        (change("+\tif (thing)\n", "+\tif (thing)\n+\tif (thing)\n"),
         ["hunk 2 of lib/thing.c should have 7 old and 8 new lines; 6 old"]),
        (change("@@ -", "@@ x-"), ["no hunk follows the name of b/lib/thing.c"]),
        (change("@@ -10", "@@ -10,9,9"), ["is not a hunk header"]),
        (change("b/lib/thing.c", "b/../../etc/passwd"), ["leads out of the tree"]),
        (change("a/lib/thing.c", "a/lib/other.c"), ["there is no file lib/other.c in"]),
        (change("release(thing)", "drop(thing)"),
         ["hunk 2 of lib/thing.c does not apply: it wants 'drop(thing);', line 21 of the tree is "
          "'release(thing);'"]),
        (lambda: diff()[diff().index("@@") :], ["a hunk stands there without a file's name"]),
        (lambda: diff() + "diff --git a/x b/x\nindex 1..2\nGIT binary patch\n", ["x is binary"]),
        (lambda: "\0" + diff(), ["is binary: give a diff"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, tree: Path, text: Callable[[], str], words: list[str]
) -> None:
    message = refused(tmp_path, tree, text())
    for word in words:
        assert word in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the patch cannot be read"):
        patchmail.read(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no series file and no"):
        patchmail.read(tmp_path)


def test_one_bad_file_of_two_leaves_the_tree_alone(tmp_path: Path, tree: Path) -> None:
    more = "--- a/old.txt\n+++ b/old.txt\n@@ -1,2 +1,2 @@\n one\n-TWO\n+2\n"
    assert "hunk 1 of old.txt" in refused(tmp_path, tree, diff() + more)


# Files that come, go and lack a last newline


def test_new_deleted_and_renamed_files(tmp_path: Path, tree: Path, commits: Path) -> None:
    git("mv", "lib/thing.c", "lib/renamed.c", cwd=commits)
    git("rm", "-q", "old.txt", cwd=commits)
    (commits / "fresh.txt").write_bytes(b"latin-1 \xe9, no last newline")
    git("add", ".", cwd=commits)
    git("commit", "-qm", "move", cwd=commits)
    text = subprocess.run(
        ["git", "format-patch", "--stdout", "-3"], cwd=commits, capture_output=True, check=True
    ).stdout
    patchmail.apply(patchmail.read(given(tmp_path, text)), tree)
    assert (tree / "lib" / "renamed.c").read_text() == NEW
    assert not (tree / "lib" / "thing.c").exists()
    assert not (tree / "old.txt").exists()
    assert (tree / "fresh.txt").read_bytes() == b"latin-1 \xe9, no last newline"


def test_a_last_line_without_newline(tmp_path: Path, tree: Path) -> None:
    text = (
        "--- a/old.txt\n+++ b/old.txt\n@@ -1,3 +1,3 @@\n one\n two\n-three\n"
        "\\ No newline at end of file\n+3\n"
    )
    patchmail.apply(patchmail.read(given(tmp_path, text)), tree)
    assert (tree / "old.txt").read_text() == "one\ntwo\n3\n"
