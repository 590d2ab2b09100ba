"""lab.yaml: its shape, and reading it. The one owner of YAML.

Every mistake is a UserError of one sentence that names the file, the key and the remedy.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from lab.config.claim import ClaimConfig
from lab.config.kernel import KernelConfig
from lab.config.model import Args, Model, check_args
from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.system.files import PROJECT

GuestKind = Literal["native", "dom0", "pv", "pvh", "hvm"]
GUEST_KINDS: tuple[GuestKind, ...] = ("native", "dom0", "pv", "pvh", "hvm")
# any: whatever comes out is a measurement, not a mistake; only a crash or our fault is.
Expectation = Literal["corrupts", "clean", "vacuous", "any"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use letters, digits and ._+- (no ~, no spaces)")
    return name


# What the stress program takes besides the keys of StressConfig (repro/README.md).
STRESS_SETTINGS = (
    "openers", "victims", "opener_us", "hold_us", "victim_us", "naps", "prio", "pressure",
    "opener_cpu", "victim_cpu", "parent_fpu", "steady", "witness",
    "opener_prio", "halt", "aim", "files",
)  # fmt: skip
_FILES = {"mmx", "x87", "sse"}  # register files that are watched
_PLACES = ("any", "spread")  # besides a vCPU's number
Settings = dict[str, int | str]


def _check_settings(value: Settings) -> Settings:
    for key, given in value.items():
        if key not in STRESS_SETTINGS:
            raise ValueError(_unknown(key, STRESS_SETTINGS))
        if key == "files":
            if not (isinstance(given, str) and set(given.split(",")) <= _FILES):
                raise ValueError(f"files should name some of {', '.join(sorted(_FILES))}")
        elif isinstance(given, str):
            if not (key.endswith("_cpu") and given in _PLACES):
                raise ValueError(f"{key} should be a number, not {given!r}")
        elif not 0 <= given < 2**31:
            raise ValueError(f"{key} must be between 0 and {2**31 - 1}")
    return value


class HostConfig(Model):
    """Where guests run."""

    kind: Literal["nested", "real"] = Field(
        "nested", description="nested: QEMU, managed by the lab. real: a Xen host reached by ssh."
    )
    memory_mib: int = Field(3072, ge=1024, description="Memory of the nested host, in MiB.")
    vcpus: int = Field(2, ge=1, le=64, description="Processors of the nested host.")
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        "auto", description="auto: KVM where booting Xen under it was seen to work, else TCG."
    )
    libvirt_uri: str | None = Field(
        None, description="A libvirt URI; by default qemu:///embed, which needs no daemon."
    )
    resume: bool = Field(
        True, description="nested: start from a state that was saved after a first boot."
    )
    guests_at_once: int = Field(
        2, ge=1, le=16, description="Guests side by side, as far as memory and vcpus go."
    )
    address: str | None = Field(None, description="real: host name or address.")
    port: int = Field(22, ge=1, le=65535, description="real: ssh port.")
    user: str = Field("root", description="real: the user that may run xl.")
    identity: Path | None = Field(None, description="real: private key file.")
    host_key: str | None = Field(
        None, description="real: the host's public key, 'ssh-ed25519 AAAA...'; it is pinned."
    )

    @model_validator(mode="after")
    def _real_needs_address(self) -> HostConfig:
        if self.kind == "real" and not (self.address and self.host_key):
            raise ValueError("a real host needs 'address' and 'host_key'")
        return self


class GuestsConfig(Model):
    """What every guest gets."""

    memory_mib: int = Field(256, ge=64, description="Memory of a guest, in MiB.")


class StressConfig(Model):
    """Settings of the stress program (repro/README.md), and how much it must have done."""

    seconds: int = Field(12, ge=1, le=86400, description="How long a trial stresses, guest time.")
    windows: int = Field(0, ge=0, description="End after that many windows; 0: by time only.")
    stop: Literal["auto", "first", "never"] = Field(
        "auto",
        description="A boot's end by corruption: the first, never (and all trials are booted), or "
        "auto: the first, but a control goes on to its control_hits and a clean cell to its end.",
    )
    min_windows: int = Field(100, ge=1, description="Fewer windows than this prove nothing.")
    min_checks: int = Field(100, ge=1, description="Fewer register checks prove nothing.")
    arch: Literal[64, 32] = Field(64, description="64- or 32-bit stress program.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of the program's jitter.")
    settings: Settings = Field(
        default_factory=dict, description="Further settings by the program's own names."
    )
    search: bool = Field(
        False,
        description="Before a run, search the settings that corrupt soonest on its control's "
        "kernel (`lab search`), once for each kernel; what `settings` says has precedence.",
    )

    _settings = field_validator("settings")(_check_settings)


class ConfidenceConfig(Model):
    """How sure a clean verdict must be, and what is measured for it (docs/confidence.md)."""

    level: float = Field(
        1e-6, gt=0, lt=1,
        description="A clean cell must have had this chance at most of missing a bad kernel.",
    )  # fmt: skip
    safety: float = Field(
        10, ge=1, description="... one that corrupts this many times less often than the control."
    )
    control_boots: int = Field(
        8, ge=2, le=1000, description="Fresh boots of a control that others are measured by."
    )
    control_hits: int = Field(
        40, ge=1, description="Each of them until so many windows had a failed check."
    )
    max_boots: int = Field(
        20, ge=1, le=1000, description="Fresh boots of a cell at most; then it proves too little."
    )


class VariationConfig(Model):
    """How a cell differs from the plain one."""

    args: Args = ""
    vcpus: int = Field(1, ge=1, le=16, description="The guest's processors.")
    settings: Settings = Field(default_factory=dict, description="As stress.settings.")
    xen: str | None = Field(None, description="A name from xens; the one under xen by default.")

    _args = field_validator("args")(check_args)
    _settings = field_validator("settings")(_check_settings)


class MatrixConfig(Model):
    """Which cells there are: kernels x guests x variations, plus include, minus exclude."""

    kernels: list[str] | None = Field(None, description="Names from kernels; all by default.")
    guests: list[GuestKind] = Field(default_factory=lambda: list(GUEST_KINDS))
    variations: list[str] = Field(
        default_factory=lambda: ["plain"], description="Names from variations; plain: none."
    )
    include: list[str] = Field(default_factory=list, description="More cells, by id.")
    exclude: list[str] = Field(default_factory=list, description="Cells left out, by id or glob.")


class LabConfig(Model):
    """The whole of lab.yaml."""

    host: HostConfig = HostConfig()
    xen: XenConfig = XenConfig()
    xens: dict[str, XenConfig] = Field(
        default_factory=dict, description="More hypervisors by name, for variations."
    )
    kernels: dict[str, KernelConfig] = Field(min_length=1)
    guests: GuestsConfig = GuestsConfig()
    stress: StressConfig = StressConfig()
    variations: dict[str, VariationConfig] = Field(default_factory=dict)
    matrix: MatrixConfig = MatrixConfig()
    trials: int = Field(3, ge=1, le=1000, description="Fresh boots of a clean cell, at least.")
    confidence: ConfidenceConfig = ConfidenceConfig()
    icount: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Deterministic boots, an instruction taking 2^icount ns of guest time; "
        "null: at the machine's own speed. `lab run --deterministic` is 1.",
    )
    expect: dict[Expectation, list[str]] = Field(
        default_factory=dict, description="What cells should show, by id or glob."
    )
    claims: dict[str, ClaimConfig] = Field(
        default_factory=dict, description="Sentences that the cells try; claims.txt tells."
    )

    @model_validator(mode="after")
    def _known_xens(self) -> LabConfig:
        for name, variation in self.variations.items():
            if variation.xen is not None and variation.xen not in self.xens:
                known = ", ".join(self.xens) or "none"
                raise ValueError(
                    f"variations.{name}.xen: {variation.xen!r} is not under 'xens:' ({known})"
                )
        return self

    @field_validator("kernels", "variations", "xens")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            _check_name(name)
        return value


class _StrictLoader(yaml.SafeLoader):
    """A duplicate key is an error, not the last one winning."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str | int | bool | float):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a plain word", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"the key {key!r} stands twice, first in line {seen[key]}",
                key_node.start_mark,
            )
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: Path) -> LabConfig:
    """Read and check a configuration file; paths in it become absolute."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give one by --config"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; a YAML file is wanted") from None
    return parse(text, path)


def plan_file(name: str) -> Path:
    """plans/NAME.yaml of the project."""
    path = PROJECT / "plans" / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise UserError(f"--plan {name}: there is no such plan (there are {there})")
    return path


def parse(text: str, path: Path) -> LabConfig:
    """Check a configuration's text; ``path`` is for messages and relative paths."""
    try:
        raw = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(f"{where}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: should be a mapping with 'kernels:' and more, see the README")
    try:
        config = LabConfig.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_problem(error)}") from None
    return _absolute(config, path.resolve().parent)


def _absolute(config: LabConfig, base: Path) -> LabConfig:
    def based(model: Model, keys: tuple[str, ...]) -> dict[str, Any]:
        given = {key: getattr(model, key) for key in keys}
        return {k: base / v.expanduser() for k, v in given.items() if v is not None}

    def hypervisor(xen: XenConfig) -> XenConfig:
        patches = [base / patch.expanduser() for patch in xen.patches]
        return xen.model_copy(update={**based(xen, ("file", "tree")), "patches": patches})

    kernels = {name: kernel.absolute(base) for name, kernel in config.kernels.items()}
    xens = {name: hypervisor(xen) for name, xen in config.xens.items()}
    changed = {"kernels": kernels, "xen": hypervisor(config.xen), "xens": xens}
    return config.model_copy(update=changed)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = _unknown(str(first["loc"][-1]), _keys_at(first["loc"][:-1]))
    elif first["type"] == "missing":
        message = "is missing"
    else:
        message = message[:1].lower() + message[1:]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {message}{more}" if where else f"{message}{more}"


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"


def _keys_at(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that the model at a location of the document knows."""
    models: dict[str, type[BaseModel]] = {
        "host": HostConfig, "xen": XenConfig, "xens": XenConfig,
        "kernels": KernelConfig, "guests": GuestsConfig,
        "stress": StressConfig, "confidence": ConfidenceConfig,
        "variations": VariationConfig, "matrix": MatrixConfig, "claims": ClaimConfig,
    }  # fmt: skip
    model = models[str(location[0])] if location else LabConfig
    return tuple(model.model_fields)


def json_schema() -> dict[str, Any]:
    """The JSON schema that editors use by lab.yaml's first line."""
    schema = LabConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "lab.yaml of the Xen FPU reproduction lab"
    return schema
