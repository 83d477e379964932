"""References to nodes of a foreign OPC UA server as people write them, and what they mean on one connection. Pure.

Written forms:

- `ns=3;s="VisionDB"."Cmd"."Trigger"`, `ns=3;i=1001`, `ns=3;g=…`, `ns=3;b=…`: the namespace by its index, or by an
  alias from the configuration (`ns=plc;s=…`). A node of namespace 0 may leave it out: `i=2258`.
- `nsu=http://www.siemens.com/simatic-s7-opcua;s=…`: the namespace by its URI, where `;` is written %3B and `%` %25.
- `/Objects/3:PLC_1/plc:DataBlocksGlobal`: a browse path from Objects, Types or Views; each name with the index or
  alias of its namespace. `&` takes the next character as it is, so that a name may hold `/` or `:`.

An index may move whenever the PLC is loaded anew, a URI does not: an alias stands for a URI. So a reference is placed
(`at`) by the server's namespace array after every connection, never once for all.
Source: OPC 10000-6 §5.3.1.10 (NodeId as text); OPC 10000-4 Annex A.2 (browse path and its escape).
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from protocols.link import MapError, PeerError

STANDARD = "http://opcfoundation.org/UA/"
"""Namespace 0 of every server."""
ROOTS = {"Objects": 85, "Types": 86, "Views": 87}
"""Where a browse path may begin, with the numeric identifiers in namespace 0 (OPC 10000-6 Annex A)."""
LONGEST = 4096
"""Characters of a string identifier at most (OPC 10000-3 §8.2.4)."""

Identifier = int | str | uuid.UUID | bytes
"""What a node is called inside its namespace."""

_FORMS = 'ns=3;s="DB"."Tag", ns=3;i=1001, nsu=URI;s=…, or /Objects/3:Name/…'
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
_UINT16, _UINT32 = 0xFFFF, 0xFFFF_FFFF


class NodeTextError(MapError, ValueError):
    """A reference that cannot be meant: one sentence with the text, the cause and the remedy."""


class NamespaceMissingError(PeerError):
    """The server has no such namespace: one sentence that says which it has."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node by its identifier. `namespace` is an index or a URI as written; after `at` an index."""

    namespace: int | str
    identifier: Identifier

    def __str__(self) -> str:
        space = f"ns={self.namespace}" if isinstance(self.namespace, int) else f"nsu={_escaped(self.namespace)}"
        return f"{space};{_named(self.identifier)}"

    def at(self, namespaces: Sequence[str]) -> Node:
        """The same with the index of this server; raises NamespaceMissingError."""
        return replace(self, namespace=_index(self.namespace, namespaces, str(self)))


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a browse path, with the namespace that it was given in."""

    namespace: int | str
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A node by the way to it: from `root` (a node of namespace 0) along hierarchical references."""

    root: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        names = (
            ("" if step.namespace == 0 else f"{_quoted(str(step.namespace))}:") + _quoted(step.name)
            for step in self.steps
        )
        return "/" + "/".join([self.root, *names])

    def at(self, namespaces: Sequence[str]) -> Path:
        """The same with the indices of this server; raises NamespaceMissingError."""
        steps = (replace(step, namespace=_index(step.namespace, namespaces, str(self))) for step in self.steps)
        return replace(self, steps=tuple(steps))


Reference = Node | Path


def parse(text: str, aliases: Mapping[str, str] | None = None) -> Reference:
    """What `text` refers to; `aliases` are short names of namespace URIs. Raises NodeTextError."""
    aliases = aliases or {}
    if not text.strip():
        raise NodeTextError(f"a node is missing; write it as {_FORMS}")
    if text.startswith("/"):
        return _path(text, aliases)
    space, semicolon, rest = text.partition(";")
    if not space.startswith(("ns=", "nsu=")):
        space, semicolon, rest = "ns=0", ";", text
    if not semicolon:
        raise NodeTextError(f"{text!r} names a namespace and no node in it; write it as {_FORMS}")
    return Node(_space(space, aliases, text), _identifier(rest, text))


def check_aliases(aliases: Mapping[str, str]) -> None:
    """Whether these can stand for namespaces; raises NodeTextError."""
    for alias, uri in aliases.items():
        if not _ALIAS.fullmatch(alias):
            raise NodeTextError(f"{alias!r} is no name for a namespace; use a letter, then letters, digits, _ and -")
        if not uri.strip() or ":" not in uri:
            raise NodeTextError(
                f"{alias}: {uri!r} is no URI; write it as the server's NamespaceArray (i=2255) shows it"
            )


# ---------------------------------------------------------------- reading


def _space(text: str, aliases: Mapping[str, str], whole: str) -> int | str:
    key, _, value = text.partition("=")
    if key == "nsu":
        uri = _unescaped(value, whole)
        if not uri:
            raise NodeTextError(f"{whole!r} has an empty namespace URI; write it as {_FORMS}")
        return 0 if uri == STANDARD else uri
    return _by_name(value, aliases, whole)


def _by_name(text: str, aliases: Mapping[str, str], whole: str) -> int | str:
    """An index, or an alias."""
    if text.isascii() and text.isdigit() and int(text) <= _UINT16:
        return int(text)
    if text in aliases:
        return 0 if aliases[text] == STANDARD else aliases[text]
    known = ", ".join(aliases) or "none is configured"
    raise NodeTextError(
        f"{whole!r}: {text!r} is neither the index of a namespace (0 to {_UINT16}) nor one of `namespaces` ({known})"
    )


def _identifier(text: str, whole: str) -> Identifier:
    kind, equals, value = text.partition("=")
    if kind not in ("i", "s", "g", "b") or not equals or not value:
        raise NodeTextError(f"{whole!r} does not say which node: i= (number), s= (text), g= (GUID) or b= (base64)")
    if kind == "i":
        if not (value.isascii() and value.isdigit() and int(value) <= _UINT32):
            raise NodeTextError(f"{whole!r}: {value!r} is no number from 0 to {_UINT32}; for a text write s=")
        return int(value)
    if kind == "s":
        if len(value) > LONGEST:
            raise NodeTextError(f"{whole[:40]!r}… has more than {LONGEST} characters, which no server allows")
        return value
    try:
        return uuid.UUID(value) if kind == "g" else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error) as error:
        what = "GUID" if kind == "g" else "base64"
        raise NodeTextError(f"{whole!r}: {value!r} is no {what}; copy it as the server's browser shows it") from error


def _path(text: str, aliases: Mapping[str, str]) -> Path:
    first, *names = list(_split(text))
    root = first.replace("&", "")
    if root not in ROOTS:
        raise NodeTextError(f"{text!r} begins with {root!r}; a path begins with /Objects, /Types or /Views")
    return Path(root, tuple(_step(name, aliases, text) for name in names))


def _split(text: str) -> Iterator[str]:
    """The names between the slashes, escapes still in them."""
    name, escaped = "", False
    for letter in text[1:]:
        if letter == "/" and not escaped:
            yield name
            name = ""
            continue
        name += letter
        escaped = letter == "&" and not escaped
    if escaped:
        raise NodeTextError(f"{text!r} ends with &, which takes the next character as it is; write && for one &")
    yield name


def _step(name: str, aliases: Mapping[str, str], whole: str) -> Step:
    space, colon, rest = _cut(name)
    if not colon:
        space, rest = "0", name
    plain = _plain(rest)
    if not plain:
        raise NodeTextError(f"{whole!r} has an empty name; remove the slash too many, or write &/ for one in a name")
    return Step(_by_name(_plain(space), aliases, whole), plain)


def _cut(name: str) -> tuple[str, str, str]:
    """As partition(":"), at the first colon that is not escaped."""
    escaped = False
    for at, letter in enumerate(name):
        if letter == ":" and not escaped:
            return name[:at], ":", name[at + 1 :]
        escaped = letter == "&" and not escaped
    return name, "", ""


def _plain(text: str) -> str:
    return re.sub(r"&(.)", r"\1", text, flags=re.DOTALL)


def _unescaped(uri: str, whole: str) -> str:
    for found in re.finditer("%(..?|$)", uri):
        if found.group(1).upper() not in ("3B", "25"):
            raise NodeTextError(f"{whole!r}: in a namespace URI write %25 for a % and %3B for a semicolon")
    return re.sub("%(3[Bb]|25)", lambda found: ";" if found.group(1) != "25" else "%", uri)


# ---------------------------------------------------------------- writing and placing


def _escaped(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")


def _quoted(name: str) -> str:
    return re.sub("([&/:])", r"&\1", name)


def _named(identifier: Identifier) -> str:
    match identifier:
        case int():
            return f"i={identifier}"
        case str():
            return f"s={identifier}"
        case uuid.UUID():
            return f"g={identifier}"
        case bytes():
            return f"b={base64.b64encode(identifier).decode()}"


def _index(namespace: int | str, namespaces: Sequence[str], what: str) -> int:
    if isinstance(namespace, int):
        if namespace < len(namespaces):
            return namespace
        raise NamespaceMissingError(f"{what}: the server has no namespace {namespace}; it has {_told(namespaces)}")
    try:
        return list(namespaces).index(namespace)
    except ValueError:
        raise NamespaceMissingError(
            f"{what}: the server has no namespace {namespace}; it has {_told(namespaces)}"
        ) from None


def _told(namespaces: Sequence[str]) -> str:
    return ", ".join(f"{n} {uri}" for n, uri in enumerate(namespaces[:10])) or "none"
