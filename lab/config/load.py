# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading lab.yaml. The one owner of YAML.

Every mistake is a UserError of one sentence that names the file, the key and the remedy.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lab.config import board
from lab.config.claim import ClaimConfig
from lab.config.cluster import ClusterConfig
from lab.config.confidence import ConfidenceConfig
from lab.config.host import HostConfig
from lab.config.hosts import NamedHostConfig
from lab.config.kernel import KernelConfig
from lab.config.lab import GuestsConfig, LabConfig, MatrixConfig, VariationConfig
from lab.config.model import Model, unknown
from lab.config.nightly import JobConfig, NightlyConfig
from lab.config.notify import MailConfig, NotifyConfig
from lab.config.stress import StressConfig
from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.system.download import is_address
from lab.system.project import data


class _StrictLoader(yaml.SafeLoader):
    """A duplicate key is an error; YAML would take the last one."""


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
                f"the key {key!r} appears twice, first in line {seen[key]}",
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
            f"{path}: cannot be read ({error.strerror}); `lab init` writes one, --config names one"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; it should be a YAML file") from None
    return parse(text, path)


def plan_file(name: str, where: str = "--plan") -> Path:
    """One of the configurations that come with the lab: plans/NAME.yaml."""
    path = data("plans", f"{name}.yaml")
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise UserError(f"{where} {name}: there is no such plan; there are {there}")
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
    def rebase(model: Model, keys: tuple[str, ...]) -> dict[str, Any]:
        given = {key: getattr(model, key) for key in keys}
        return {k: base / v.expanduser() for k, v in given.items() if v is not None}

    def hypervisor(xen: XenConfig) -> XenConfig:
        patches = [base / patch.expanduser() for patch in xen.patches]
        return xen.model_copy(update={**rebase(xen, ("file", "tree")), "patches": patches})

    kernels = {name: kernel.absolute(base) for name, kernel in config.kernels.items()}
    xens = {name: hypervisor(xen) for name, xen in config.xens.items()}
    boards = {name: one.absolute(base) for name, one in config.boards.items()}
    changed: dict[str, Any] = {
        "kernels": kernels, "xen": hypervisor(config.xen), "xens": xens, "boards": boards,
        "nightly": config.nightly.absolute(base), "notify": config.notify.absolute(base),
        "cluster": config.cluster.model_copy(update=rebase(config.cluster, ("keys",))),
    }  # fmt: skip
    if "mirror" in config.model_fields_set:
        changed["mirror"] = [_place_mirror(mirror, base) for mirror in config.mirrors]
    return config.model_copy(update={**rebase(config, ("results", "keyring")), **changed})


def _place_mirror(mirror: str, base: Path) -> str:
    return mirror if is_address(mirror) else os.path.normpath(base / Path(mirror).expanduser())


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    first = problems[0]
    where = ".".join(str(part) for part in _drop_kinds(first["loc"]) if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = unknown(str(first["loc"][-1]), _keys_at(first["loc"][:-1]))
    elif first["type"] == "missing":
        message = "is missing"
    elif first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        message = _say_kind(first.get("ctx", {}))
    else:
        message = message[:1].lower() + message[1:]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {message}{more}" if where else f"{message}{more}"


def _drop_kinds(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A location of the document as the user wrote it."""
    if location[:1] == ("boards",):
        return (*location[:2], *board.hide_kind(location[2:]))
    return location


def _say_kind(context: dict[str, Any]) -> str:
    """What is wrong with a part's 'kind:', and which ones there are."""
    if "tag" not in context:
        return "'kind' is missing"
    known = ", ".join(re.findall(r"'([^']*)'", context["expected_tags"]))
    return f"the kind {context['tag']!r} is not known; there are {known}"


def _keys_at(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that the model at a location of the document knows."""
    models: dict[str, type[BaseModel]] = {
        "host": HostConfig, "hosts": NamedHostConfig, "xen": XenConfig, "xens": XenConfig,
        "kernels": KernelConfig, "guests": GuestsConfig,
        "stress": StressConfig, "confidence": ConfidenceConfig,
        "variations": VariationConfig, "matrix": MatrixConfig, "claims": ClaimConfig,
        "cluster": ClusterConfig,
    }  # fmt: skip
    if location[:1] == ("boards",):
        return tuple(board.find_model(location[2:]).model_fields)
    if location[:1] == ("notify",):
        return tuple((MailConfig if len(location) > 1 else NotifyConfig).model_fields)
    if location[:1] == ("nightly",):
        return tuple((JobConfig if len(location) > 1 else NightlyConfig).model_fields)
    model = models[str(location[0])] if location else LabConfig
    return tuple(model.model_fields)


def json_schema() -> dict[str, Any]:
    """The JSON schema that editors use by lab.yaml's first line."""
    schema = LabConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "lab.yaml of the Xen FPU reproduction lab"
    return schema


def schema_text() -> str:
    """The same as the file lab.schema.json."""
    return json.dumps(json_schema(), indent=1) + "\n"
