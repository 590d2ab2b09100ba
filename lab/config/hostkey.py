"""`host.host_key` of lab.yaml, the public key by which a real host is known: pure."""

from __future__ import annotations

import base64
import binascii

# Those that paramiko can verify, from newest to oldest (RFC 8709, RFC 5656, RFC 4253).
KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "ssh-rsa",
)  # fmt: skip
_REMEDY = "it should read 'ssh-ed25519 AAAA...', as the host's /etc/ssh/ssh_host_ed25519_key.pub"
_LENGTH = 4  # bytes, before each part of a key


def check_host_key(text: str) -> None:
    """ValueError, a sentence, unless ``text`` is an ssh public key; a comment may follow it."""
    problem = _find_problem(text)
    if problem:
        raise ValueError(f"{problem}; {_REMEDY}")


def _find_problem(text: str) -> str:
    """What is wrong with it, in a phrase; empty when nothing is."""
    if "PRIVATE KEY" in text:
        return "is a private key, not a public one"
    if len(text.strip().splitlines()) > 1:
        return "is more than one line"
    kind, *rest = text.split() or [""]
    if kind not in KEY_TYPES:
        if rest and rest[0] in KEY_TYPES:  # as ssh-keyscan and known_hosts write it
            return f"has {kind!r} before the key's type"
        return f"has the type {kind[:40]!r}, known are {', '.join(KEY_TYPES)}"
    if not rest:
        return f"has nothing after {kind!r}"
    try:
        raw = base64.b64decode(rest[0], validate=True)
    except (binascii.Error, ValueError):
        return f"has no base64 after {kind!r}"
    return _find_damage(kind, raw)


def _find_damage(kind: str, raw: bytes) -> str:
    """A key is parts, each with its length before it; the first one is its type again."""
    parts: list[bytes] = []
    while raw:
        size = int.from_bytes(raw[:_LENGTH])
        if len(raw) < _LENGTH + size:
            return "is truncated"
        parts.append(raw[_LENGTH : _LENGTH + size])
        raw = raw[_LENGTH + size :]
    if not parts or parts[0] != kind.encode():
        named = parts[0][:40].decode("ascii", "replace") if parts else ""
        return f"says {kind!r}, its content says {named!r}"
    wanted = {"ssh-ed25519": 2}.get(kind, 3)
    if len(parts) != wanted or (kind == "ssh-ed25519" and len(parts[1]) != 32):
        return f"is not a whole {kind} key"
    return ""
