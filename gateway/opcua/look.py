"""The process of `gateway opcua browse` and `read`: what a person wants to see of any OPC UA server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from asyncua import Client, Node, ua

from gateway.log import plain
from gateway.opcua.dialling import LookError, add_connection, connected, sentence

DEEPEST, MOST_NODES = 20, 10_000
BROWSE_SECONDS = 120.0
SHOWN_TEXT = 300
"""Characters of a value that are shown."""
SHOWN_ITEMS = 32
_READ = (
    ("browse name", ua.AttributeIds.BrowseName),
    ("class", ua.AttributeIds.NodeClass),
    ("description", ua.AttributeIds.Description),
    ("data type", ua.AttributeIds.DataType),
    ("rank", ua.AttributeIds.ValueRank),
    ("access", ua.AttributeIds.AccessLevel),
    ("our access", ua.AttributeIds.UserAccessLevel),
)
_NO_VALUE = ("BadAttributeIdInvalid",)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 = done, 1 = it could not be done (the reason is on stderr), 2 = wrong usage."""
    options = _parser().parse_args(arguments)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what it has to say is said in one sentence below
    try:
        asyncio.run(options.work(options))
    except LookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway opcua")
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    browse = below.add_parser("browse", description="Print the nodes of an OPC UA server as a tree.")
    add_connection(browse)
    browse.add_argument("--node", default="i=85", metavar="NODEID", help="where to begin (default: i=85, Objects)")
    browse.add_argument("--depth", type=_up_to(DEEPEST), default=3, metavar="N", help="levels below it (default 3)")
    browse.add_argument(
        "--limit", type=_up_to(MOST_NODES), default=500, metavar="N", help="nodes at most (default 500)"
    )
    browse.set_defaults(work=_browse)
    read = below.add_parser("read", description="Print nodes with their attributes, value, status and times.")
    add_connection(read)
    read.add_argument("nodes", nargs="+", metavar="NODEID", help='such as "ns=2;s=press-1.Status.STATUS"')
    read.add_argument("--watch", type=_up_to(86_400), metavar="S", help="then print changes for so many seconds")
    read.set_defaults(work=_read)
    return parser


def _up_to(most: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to {most}")
        return int(text)

    return number


def node_of(client: Client, text: str) -> Node:
    """The node of this id, as `ns=2;s=NAME` or `i=85`; LookError for what is no node id."""
    try:
        return client.get_node(ua.NodeId.from_string(text))
    except (ua.UaError, ValueError):
        raise LookError(f"{plain(text)} is no node id; write it as ns=2;s=NAME or ns=2;i=NUMBER") from None


# ------------------------------------------------------------ browse


async def _browse(options: argparse.Namespace) -> None:
    async with connected(options) as client:
        start = node_of(client, options.node)
        tree = Tree(client, options)
        with _as_sentence(options):
            name = await start.read_browse_name()
            sys.stdout.write(f"{_qualified(name)}  {start.nodeid.to_string()}\n")
            await tree.below(start.nodeid, 1)
    if tree.cut:
        sys.stderr.write(f"not all was shown: {tree.cut}\n")


class Tree:
    """Prints what lies below a node, each node once, within bounds of depth, number and time."""

    def __init__(self, client: Client, options: argparse.Namespace) -> None:
        self.client, self.depth, self.left = client, options.depth, options.limit
        self.seen: set[ua.NodeId] = set()
        self.until = time.monotonic() + BROWSE_SECONDS
        self.cut = ""

    async def below(self, node: ua.NodeId, level: int) -> None:
        """The children of a node and theirs."""
        self.seen.add(node)
        found = await self.client.get_node(node).get_references(
            refs=ua.ObjectIds.HierarchicalReferences, direction=ua.BrowseDirection.Forward
        )
        types = await self._types(found)
        for child in found:
            if self.left == 0:
                self.cut = "more nodes than --limit; begin further below with --node"
                return
            if time.monotonic() > self.until:
                self.cut = f"the server took longer than {BROWSE_SECONDS:g} s; begin further below with --node"
                return
            self.left -= 1
            again = child.NodeId in self.seen
            kind = types.get(child.NodeId, ua.NodeClass(child.NodeClass).name)
            line = f"{'  ' * level}{_qualified(child.BrowseName)}  [{kind}]  {child.NodeId.to_string()}"
            sys.stdout.write(line + ("  (shown above)\n" if again else "\n"))
            if again or child.NodeId.NamespaceIndex < 0:
                continue
            if level < self.depth:
                await self.below(child.NodeId, level + 1)

    async def _types(self, found: Sequence[ua.ReferenceDescription]) -> dict[ua.NodeId, str]:
        """Data types of the variables among them."""
        variables = [each.NodeId for each in found if each.NodeClass == ua.NodeClass.Variable]
        if not variables:
            return {}
        values = await self.client.uaclient.read_attributes(variables, ua.AttributeIds.DataType)
        return {node: _type_name(value) for node, value in zip(variables, values, strict=True)}


def _type_name(value: ua.DataValue) -> str:
    kind = value.Value.Value if value.Value is not None else None
    if not isinstance(kind, ua.NodeId):
        return "Variable"
    if kind.NamespaceIndex == 0 and isinstance(kind.Identifier, int) and kind.Identifier in ua.ObjectIdNames:
        return str(ua.ObjectIdNames[kind.Identifier])
    return kind.to_string()


def _qualified(name: ua.QualifiedName) -> str:
    text = plain(name.Name or "")
    return f"{name.NamespaceIndex}:{text}" if name.NamespaceIndex else text


# ------------------------------------------------------------ read


async def _read(options: argparse.Namespace) -> None:
    async with connected(options) as client:
        nodes = [node_of(client, text) for text in options.nodes]
        with _as_sentence(options):
            await _learn(client, nodes)
            for node in nodes:
                await _print(client, node)
            if options.watch:
                await _watch(client, nodes, options.watch)


async def _learn(client: Client, nodes: Sequence[Node]) -> None:
    """Ask for the definitions of structures, where one of the nodes has a type of its own."""
    kinds = await client.uaclient.read_attributes([node.nodeid for node in nodes], ua.AttributeIds.DataType)
    own = [kind.Value.Value for kind in kinds if kind.Value is not None and isinstance(kind.Value.Value, ua.NodeId)]
    if any(kind.NamespaceIndex for kind in own):
        with contextlib.suppress(Exception):  # some servers describe what asyncua cannot build: then bytes are shown
            await client.load_data_type_definitions()


async def _print(client: Client, node: Node) -> None:
    names, wanted = [name for name, _ in _READ], [attribute for _, attribute in _READ]
    found = await node.read_attributes([*wanted, ua.AttributeIds.Value])
    status = found[1].StatusCode
    sys.stdout.write(f"{node.nodeid.to_string()}\n")
    if status is not None and status.is_bad():
        sys.stdout.write(f"  {status.name}: {plain(status.doc)}\n")
        return
    for name, value in zip(names, found[:-1], strict=True):
        text = _attribute(name, value)
        if text:
            sys.stdout.write(f"  {name:12} {text}\n")
    _print_value(found[-1])


def _attribute(name: str, value: ua.DataValue) -> str:
    content = value.Value.Value if value.Value is not None else None
    if content is None:
        return ""
    if name == "class":
        return ua.NodeClass(content).name
    if name == "data type":
        return _type_name(value)
    if name in ("access", "our access"):
        bits = [level.name for level in ua.AccessLevel if content >> level.value & 1]
        return ", ".join(bits) or "none"
    if isinstance(content, ua.QualifiedName):
        return _qualified(content)
    return plain(content.Text or "") if isinstance(content, ua.LocalizedText) else plain(str(content))


def _print_value(value: ua.DataValue) -> None:
    status = value.StatusCode or ua.StatusCode()
    if status.name in _NO_VALUE:
        return
    sys.stdout.write(f"  {'status':12} {status.name}{'' if status.is_good() else f': {plain(status.doc)}'}\n")
    for name, at in (("source time", value.SourceTimestamp), ("server time", value.ServerTimestamp)):
        if at is not None:
            sys.stdout.write(f"  {name:12} {_time(at)}\n")
    for line in shown("value", value.Value.Value if value.Value is not None else None):
        sys.stdout.write(f"  {line}\n")


_PLAIN = (type, ua.NodeId, ua.QualifiedName, ua.LocalizedText)


def shown(name: str, value: Any) -> list[str]:
    """A value in lines: structures field by field, long ones cut."""
    if dataclasses.is_dataclass(value) and not isinstance(
        value, type | ua.NodeId | ua.QualifiedName | ua.LocalizedText
    ):
        lines = [f"{name:12} {type(value).__name__}"]
        for field in dataclasses.fields(value):
            lines += [f"  {line}" for line in shown(field.name, getattr(value, field.name))]
        return lines
    if isinstance(value, list) and any(dataclasses.is_dataclass(item) for item in value):
        return [line for n, item in enumerate(value[:SHOWN_ITEMS]) for line in shown(f"{name}[{n}]", item)]
    return [f"{plain(name):12} {_short(value)}"]


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        text = f"{len(value)} bytes {value[: SHOWN_TEXT // 4].hex()}"
    elif isinstance(value, datetime):
        text = _time(value)
    elif isinstance(value, ua.LocalizedText):
        text = value.Text or ""
    else:
        text = str(value)
    return plain(text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}… ({len(text)} characters)")


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


async def _watch(client: Client, nodes: Sequence[Node], seconds: int) -> None:
    subscription = await client.create_subscription(100)
    async with subscription:
        await subscription.subscribe_data_change(list(nodes))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for event in subscription:
                    _print_change(event)


def _print_change(event: Any) -> None:
    data = getattr(event, "data", None)
    if data is None:
        sys.stdout.write(f"{plain(str(event))}\n")
        return
    value = data.monitored_item.Value
    at = _time(value.SourceTimestamp) if value.SourceTimestamp is not None else "-"
    status = (value.StatusCode or ua.StatusCode()).name
    content = value.Value.Value if value.Value is not None else None
    sys.stdout.write(f"{at}  {event.node.nodeid.to_string()}  {status}  {_short(content)}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _as_sentence(options: argparse.Namespace) -> Any:
    try:
        yield
    except LookError:
        raise
    except (OSError, TimeoutError, ConnectionError, ua.UaError) as error:
        raise LookError(f"{options.url}: {sentence(error, options)}") from None


if __name__ == "__main__":
    sys.exit(main())
