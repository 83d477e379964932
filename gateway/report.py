"""A report as a tree: what was looked at, what is wrong with it, and what that means for the exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TextIO


class Status(Enum):
    """How a line of the report ends; only errors make the check fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(slots=True)
class Item:
    """One line of the tree, and what stands below it."""

    text: str
    status: Status = Status.OK
    items: list[Item] = field(default_factory=list)

    def add(self, text: str, status: Status = Status.OK) -> Item:
        """A new line below this one."""
        self.items.append(Item(text, status))
        return self.items[-1]

    @property
    def worst(self) -> Status:
        """The worst status of this line and all below it."""
        order = list(Status)
        return max((self.status, *(item.worst for item in self.items)), key=order.index)

    def count(self, status: Status) -> int:
        """How many lines have this status, this one included."""
        return (self.status is status) + sum(item.count(status) for item in self.items)


@dataclass(frozen=True, slots=True)
class Report:
    """The tree, and what it means for the exit code."""

    root: Item

    @property
    def exit_code(self) -> int:
        """1 if there is an error, else 0: warnings do not fail."""
        return int(self.root.worst is Status.ERROR)

    @property
    def summary(self) -> str:
        """How many errors and warnings."""
        errors, warnings = self.root.count(Status.ERROR), self.root.count(Status.WARNING)
        if not errors and not warnings:
            return "all right"
        return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"

    def lines(self) -> Iterator[str]:
        """The report as plain text."""
        yield from _plain(self.root, 0)
        yield self.summary

    def show(self, out: TextIO) -> None:
        """Print it: a coloured tree on a terminal, plain lines elsewhere and where NO_COLOR is set."""
        if out.isatty() and not os.environ.get("NO_COLOR"):
            from rich.console import Console

            console = Console(file=out, highlight=False)
            console.print(_tree(self.root))
            console.print(self.summary, style=_STYLE[self.root.worst], markup=False)
        else:
            out.writelines(f"{line}\n" for line in self.lines())


_MARK = {Status.OK: "ok", Status.WARNING: "WARNING", Status.ERROR: "ERROR"}
_STYLE = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "bold red"}


def _plain(item: Item, depth: int) -> Iterator[str]:
    for number, line in enumerate(item.text.splitlines() or [""]):
        mark = "" if number or (item.items and item.status is Status.OK) else _MARK[item.status]
        yield f"{mark:7} {'  ' * depth}{line}"
    for below in item.items:
        yield from _plain(below, depth + 1)


def _tree(item: Item) -> object:
    from rich.text import Text
    from rich.tree import Tree

    def label(one: Item) -> Text:
        mark = "" if one.status is Status.OK else f"{one.status.value.upper()}: "
        return Text.assemble((mark, _STYLE[one.status]), (one.text, "" if mark else _STYLE[one.worst]))

    def grow(tree: Tree, one: Item) -> Tree:
        for below in one.items:
            grow(tree.add(label(below)), below)
        return tree

    return grow(Tree(label(item)), item)
