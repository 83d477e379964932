"""Reads the tables of the type model: text, row by row, into trees of nodes that still lack what they inherit. Pure.

A type, and below it, indented, its members:

    NAME ID < SUPERTYPE [abstract]
        NAME ID [RULE] : TYPE [of STATE]                an object
        NAME ID [RULE] = DATA_TYPE [: VARIABLE_TYPE]    a variable; DATA_TYPE[] an array, DATA_TYPE[3] of 3
        NAME ID [RULE] . DATA_TYPE                      a property
        NAME() ID [RULE]                                a method
            in ID NAME TYPE, NAME TYPE …                its arguments, each list with the id of its property
            out ID NAME TYPE, …
        NAME ID … [RULE]                                a copy of what the type of the parent declares

A copy says no more than its number: layout, rule and names are those of the declaration. Further numbers are those of
the mandatory members, in the order of declaration and to any depth. Members written below a row are copies too. RULE is
M, O or OP (mandatory, optional, optional placeholder). Tables of the OPC UA core have no ids for members. State
machines have two more rows: module state_machines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocols.opcua.model.rows import DataType, EnumMember, Field, TableError

_TYPE = re.compile(r"(?P<name>\w+) (?P<id>\d+)(?: < (?P<supertype>\w+))?(?P<abstract> abstract)?")
_MEMBER = re.compile(
    r"(?P<name><?\w+>?)(?P<call>\(\))?(?P<ids>(?: \d+)*)(?: (?P<rule>M|O|OP))?"
    r"(?: (?P<sign>[:=.]) (?P<type>\w+)(?P<array>\[\d*\])?(?: : (?P<variable_type>\w+))?(?: of (?P<state>\w+))?)?"
)
_STEP = re.compile(
    r"(?P<number>\d+) (?P<name>\w+) (?P<id>\d+) (?P<number_id>\d+)(?P<initial> initial)?"
    r"(?: with (?P<effects>[\w ]+?))?(?: by (?P<cause>[\w.]+))?"
)
_ARGUMENTS = re.compile(r"(?P<way>in|out)(?: (?P<id>\d+))? (?P<fields>\D.*)")
_FIELD = re.compile(r"(?P<name>\w+)(?P<optional>\?)? (?P<type>\w+)(?P<array>\[(?P<dimension>\d*)\])?")
_DATA_TYPE = re.compile(
    r"(?P<name>\w+) (?P<id>\d+) (?:enum (?P<values_id>\d+)|< (?P<supertype>\w+)(?P<abstract> abstract)?"
    r"(?: (?P<encodings>\d+ \d+) : (?P<descriptions>\d+ \d+))?)"
)


@dataclass(slots=True)
class Line:
    """One row and the rows indented below it."""

    text: str
    below: list[Line] = field(default_factory=list)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """The row as the pattern reads it; a row that it cannot read raises TableError."""
        found = pattern.fullmatch(self.text)
        if found is None:
            raise TableError(f"this row of a table cannot be read: {self.text!r}")
        return found


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as written; `sign` is empty for a copy and for a method."""

    name: str
    method: bool
    ids: tuple[int, ...]
    rule: str
    sign: str
    type: str
    array: bool
    dimensions: tuple[int, ...]
    variable_type: str
    state: str
    below: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """A state or a transition as written; `effects` and `cause` by name."""

    number: int
    name: str
    id: int
    number_id: int
    initial: bool
    effects: tuple[str, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A type as written, with its members and, of a state machine, its states and transitions."""

    name: str
    id: int
    supertype: str
    abstract: bool
    members: tuple[MemberRow, ...]
    steps: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True)
class ArgumentsRow:
    """The input or output arguments of a method."""

    name: str
    id: int
    fields: tuple[Field, ...]


def types(table: str) -> Iterator[TypeRow]:
    """The types of a table of object, variable and reference types."""
    for line in _tree(table):
        row = line.match(_TYPE)
        steps = [_step(below) for below in line.below if below.text[0].isdigit()]
        members = [member(below) for below in line.below if not below.text[0].isdigit()]
        yield TypeRow(
            row["name"], int(row["id"]), row["supertype"] or "", bool(row["abstract"]), tuple(members), tuple(steps)
        )


def member(line: Line) -> MemberRow:
    """A member from its row."""
    row = line.match(_MEMBER)
    size = (row["array"] or "").strip("[]")
    return MemberRow(
        name=row["name"],
        method=bool(row["call"]),
        ids=_numbers(row["ids"]),
        rule=row["rule"] or "",
        sign=row["sign"] or "",
        type=row["type"] or "",
        array=bool(row["array"]),
        dimensions=(int(size),) if size else (),
        variable_type=row["variable_type"] or "",
        state=row["state"] or "",
        below=tuple(line.below),
    )


def arguments(line: Line) -> ArgumentsRow:
    """The arguments of a method from the row below it; the row may go on in rows indented below."""
    whole = Line(" ".join([line.text, *(more.text for more in line.below)]))
    row = whole.match(_ARGUMENTS)
    name = "InputArguments" if row["way"] == "in" else "OutputArguments"
    fields = tuple(_field(Line(text)) for text in row["fields"].split(", "))
    return ArgumentsRow(name, int(row["id"] or 0), fields)


def data_types(table: str) -> Iterator[DataType]:
    """The data types of a table, each structure with the fields of its supertype before its own."""
    fields: dict[str, tuple[Field, ...]] = {}
    for line in _tree(table):
        row = line.match(_DATA_TYPE)
        supertype = row["supertype"] or "Enumeration"
        inherited = fields.get(supertype, ())
        own = () if row["values_id"] else tuple(_field(below) for below in line.below)
        fields[row["name"]] = inherited + own
        yield DataType(
            name=row["name"],
            id=int(row["id"]),
            supertype=supertype,
            abstract=bool(row["abstract"]),
            encodings=_numbers(row["encodings"]),
            descriptions=_numbers(row["descriptions"]),
            values_id=int(row["values_id"] or 0),
            fields=fields[row["name"]],
            members=tuple(_enum_member(below) for below in line.below) if row["values_id"] else (),
        )


def _tree(table: str) -> list[Line]:
    roots: list[Line] = []
    path: list[tuple[int, list[Line]]] = [(-1, roots)]
    for text in table.splitlines():
        if not text.strip():
            continue
        indent = len(text) - len(text.lstrip())
        while path[-1][0] >= indent:
            path.pop()
        line = Line(" ".join(text.split()))
        path[-1][1].append(line)
        path.append((indent, line.below))
    return roots


def _step(line: Line) -> StepRow:
    row = line.match(_STEP)
    return StepRow(
        number=int(row["number"]),
        name=row["name"],
        id=int(row["id"]),
        number_id=int(row["number_id"]),
        initial=bool(row["initial"]),
        effects=tuple((row["effects"] or "").split()),
        cause=row["cause"] or "",
    )


def _field(line: Line) -> Field:
    row = line.match(_FIELD)
    dimensions = (int(row["dimension"]),) if row["dimension"] else ()
    return Field(row["name"], row["type"], bool(row["array"]), dimensions, bool(row["optional"]))


def _enum_member(line: Line) -> EnumMember:
    name, value = line.text.split()
    return EnumMember(name, int(value))


def _numbers(text: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in (text or "").split())
