# SPDX-License-Identifier: GPL-2.0-or-later
"""From configuration to cells: pure, touches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from lab.config.cellname import BOARD_OF, PLAIN, CellName, fits
from lab.config.kinds import ON_XEN, Expectation, GuestKind
from lab.config.lab import LabConfig
from lab.config.stress import Settings
from lab.errors import UserError


@dataclass(frozen=True)
class Cell:
    """One kernel x one guest kind x one variation x one host."""

    id: str
    guest: GuestKind
    kernel: str
    variation: str = PLAIN
    args: str = ""  # boot arguments of kernel and variation
    vcpus: int = 1
    settings: Settings = field(default_factory=dict)
    expect: Expectation | None = None
    xen: str = ""  # a name from xens; the one under xen otherwise
    added_as_control: bool = (
        False  # not selected: it is here so that the selected ones prove something
    )
    host: str = ""  # a name from hosts; the one under host otherwise
    # A name from boards, or of a machine of the cluster; empty until one of several is free.
    board: str = ""

    @property
    def nested(self) -> bool:
        """Whether the cell needs the Xen host (else QEMU alone boots it)."""
        return self.guest in ON_XEN

    @property
    def is_control(self) -> bool:
        return self.expect == "corrupts"


def cells(config: LabConfig) -> list[Cell]:
    """Every cell of the matrix, in the order variations x kernels x guests x hosts, then include.

    A guest kind is left out where a host does not run it: a board runs native and dom0 cells.
    """
    matrix = config.matrix
    hosts = matrix.hosts if matrix.hosts is not None else [config.own_host]
    _check_kinds(config, hosts)
    named = [_own(config, CellName.parse(text)) for text in matrix.include]
    made = [_cell(config, name) for name in dict.fromkeys([*_product(config, hosts), *named])]
    # What the file says about cells on hosts that were not chosen is right too.
    everywhere = [*config.list_hosts(), *config.list_pooled()]
    known = [str(name) for name in (*_product(config, everywhere), *named)]
    _every_glob_matches(matrix.exclude, known, "matrix.exclude")
    kept = [
        one
        for cell in made
        if not _matches(cell.id, matrix.exclude)
        for one in _on_each_board(config, cell)
    ]
    if not kept:
        raise UserError("the matrix has no cell left: loosen matrix.exclude")
    for word, globs in config.expect.items():
        _every_glob_matches(globs, known, f"expect.{word}")
    _every_glob_matches(list(config.known), known, "known")
    return kept


def on_hosts(config: LabConfig, hosts: Sequence[str] | None) -> LabConfig:
    """The same for other hosts, by name; None: the one under `host:` alone.

    UserError for a name of no host.
    """
    try:
        config.check_host_names(list(hosts or ()), "--host")
    except ValueError as error:
        raise UserError(str(error)) from None
    chosen = None if hosts is None else list(hosts)
    return config.model_copy(update={"matrix": config.matrix.model_copy(update={"hosts": chosen})})


def with_named_hosts(config: LabConfig, wanted: Sequence[str]) -> LabConfig:
    """The same with the hosts that ids or globs name, besides those of the matrix."""
    hosts = list(config.matrix.hosts or [config.own_host])
    for word in wanted:
        _, at, glob = word.partition("@")
        host = glob.partition(BOARD_OF)[0]
        found = [name for name in config.list_hosts() if fnmatchcase(name, host)]
        if at and not found:
            known = ", ".join(config.list_hosts())
            raise UserError(
                f"{word!r} names the host {glob!r}, which is not under 'hosts:' (there are {known})"
            )
        hosts += found if at else []
    return on_hosts(config, list(dict.fromkeys(hosts)))


def find_cell(config: LabConfig, wanted: str) -> Cell:
    """The cell of an id, whatever host it names; UserError when there is no such cell."""
    for cell in cells(with_named_hosts(config, [wanted])):
        if cell.id == wanted:
            return cell
    raise UserError(f"there is no cell {wanted!r}; `lab plan` prints all of them")


def select(plan: list[Cell], wanted: list[str]) -> list[Cell]:
    """The cells that ids or globs name, with a positive control for them.

    A clean cell proves nothing unless a cell known to corrupt did so in the same run on the
    same host, so one that is expected to corrupt is added to a selection that lacks one.
    """
    if not wanted:
        return plan
    _every_glob_matches(wanted, [cell.id for cell in plan], "the command line")
    chosen = [cell for cell in plan if _matches(cell.id, wanted)]
    return add_controls(chosen, plan)


def add_controls(chosen: list[Cell], plan: Sequence[Cell]) -> list[Cell]:
    """The same with a control for each cell that lacks its own."""
    needed: list[Cell] = []
    for cell in chosen:
        for best in controls_of(cell, plan):
            if best not in chosen and best not in needed:
                needed.append(best)
    return chosen + [replace(control, added_as_control=True) for control in needed]


def control_of(cell: Cell, plan: Iterable[Cell]) -> Cell | None:
    """The control that a cell is measured by; None for a control itself, or without any.

    One of the same host, and of the same board where that has several: how often the bug strikes
    depends on the machine. One of its own guest kind if there is one, else the cheapest, which
    needs no Xen host.
    """
    same_machine = (cell.host, f"{cell.host}{BOARD_OF}{cell.board}")
    controls = [control for control in plan if control.is_control and control.host in same_machine]
    if cell.is_control or not controls:
        return None
    same = [control for control in controls if control.guest == cell.guest]
    cheap = [control for control in controls if not control.nested]
    return (same or cheap or controls)[0]


def controls_of(cell: Cell, plan: Sequence[Cell]) -> list[Cell]:
    """The controls that may measure it: one for each board that the cell may go to."""
    start = f"{cell.host}{BOARD_OF}"
    boards = dict.fromkeys(c.board for c in plan if cell.host and c.host.startswith(start))
    there = [cell] if cell.board or not boards else [replace(cell, board=b) for b in boards]
    found = [control_of(one, plan) for one in there]
    return [control for control in found if control is not None]


def _product(config: LabConfig, hosts: Sequence[str]) -> list[CellName]:
    matrix = config.matrix
    kernels = matrix.kernels if matrix.kernels is not None else list(config.kernels)
    return [
        _own(config, CellName(guest, kernel, variation, host))
        for variation in matrix.variations
        for kernel in kernels
        for guest in matrix.guests
        for host in hosts
        if config.runs(guest, host)
    ]


def _on_each_board(config: LabConfig, cell: Cell) -> list[Cell]:
    """A control is measured on every board of its host; any other cell goes to one of them."""
    boards = config.pool_of(cell.host) if cell.is_control else []
    return [
        replace(cell, id=f"{cell.id}{BOARD_OF}{board}", host=f"{cell.host}{BOARD_OF}{board}",
                board=board)
        for board in boards
    ] or [cell]  # fmt: skip


def _own(config: LabConfig, name: CellName) -> CellName:
    """The name by which there is only one id for a cell on the host under `host:`."""
    return replace(name, host="") if name.host == config.own_host else name


def _check_kinds(config: LabConfig, hosts: Sequence[str]) -> None:
    """UserError for a host that could run nothing of the matrix."""
    guests = config.matrix.guests
    for host in hosts:
        if guests and not any(config.runs(guest, host) for guest in guests):
            raise UserError(
                f"matrix.hosts: {config.say_lack(guests[0], host)}, and matrix.guests has no "
                "kind that it runs"
            )


def _cell(config: LabConfig, name: CellName) -> Cell:
    wanted = str(name)
    if name.kernel not in config.kernels:
        raise UserError(
            f"cell {wanted!r} names the kernel {name.kernel!r}, which is not under 'kernels:' "
            f"(there are {', '.join(config.kernels)})"
        )
    if name.host and not config.has_host(name.host):
        raise UserError(
            f"cell {wanted!r} names the host {name.host!r}, which is not under 'hosts:' "
            f"(there are {', '.join(config.list_hosts())})"
        )
    if not config.runs(name.guest, name.host):
        raise UserError(f"cell {wanted!r}: {config.say_lack(name.guest, name.host)}")
    args, vcpus, settings = config.kernels[name.kernel].args, 1, dict(config.stress.settings)
    xen = ""
    if name.variation != PLAIN:
        if name.variation not in config.variations:
            raise UserError(
                f"cell {wanted!r} names the variation {name.variation!r}, "
                f"which is not under 'variations:'"
            )
        change = config.variations[name.variation]
        args, vcpus = f"{args} {change.args}".strip(), change.vcpus
        settings |= change.settings
        xen = change.xen or ""
    if xen and name.guest == "native":
        raise UserError(
            f"cell {wanted!r}: a native cell has no Xen, so it cannot have {xen!r}; use dom0"
        )
    if xen and config.kind_of(name.host) == "real" and name.guest != "dom0":
        raise UserError(f"cell {wanted!r}: the lab does not change the Xen of a real host")
    return Cell(
        wanted, name.guest, name.kernel, name.variation, args, vcpus, settings,
        _expectation(config, wanted), xen, host=name.host, board=config.board_of(name.host),
    )  # fmt: skip


def _expectation(config: LabConfig, cell: str) -> Expectation | None:
    """What names the host goes before what holds on every one."""
    found = [word for word, globs in config.expect.items() if _matches(cell, globs)]
    named = [w for w in found if _matches(cell, [g for g in config.expect[w] if "@" in g])]
    found = named or found
    if len(found) > 1:
        raise UserError(f"expect: {cell!r} is named under {' and '.join(map(repr, found))}")
    return found[0] if found else None


def _matches(cell: str, globs: list[str]) -> bool:
    return any(fits(cell, glob) for glob in globs)


def _every_glob_matches(globs: list[str], known: Sequence[str], where: str) -> None:
    """A name that matches nothing is a typing mistake: it must not silently test less."""
    for glob in globs:
        if not any(fits(cell, glob) for cell in known):
            ids = ", ".join(known[:6])
            more = ", ..." if len(known) > 6 else ""
            raise UserError(f"{where}: {glob!r} matches no cell (there are {ids}{more})")
