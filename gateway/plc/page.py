"""`gateway plc families NAME`: the page of a family, from box to first verdict, from its data alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.plc.family import Family, Kind, Role
from gateway.plc.variables import SIMULATED
from protocols.modbus.registers import COMMAND_WORDS, STATUS_WORDS, Table

FILES = {
    Kind.TABLE: ("registers.md", "registers.csv"),
    Kind.ST: ("FB_VisionStation.st",),
    Kind.SCL: ("FB_VisionStation.scl",),
    Kind.GVL: ("GVL_Vision.st",),
    Kind.PLCOPEN: ("FB_VisionStation.xml",),
    Kind.L5X: ("FB_VisionStation.L5X",),
    Kind.SHEET: ("sheet.html",),
}
"""What each kind of export is called in its folder."""

_KINDS = {
    Kind.TABLE: "every word and bit with its address as this maker writes it",
    Kind.ST: "types, functions and FB_VisionStation in structured text of IEC 61131-3",
    Kind.SCL: "PLC data types, functions and FB_VisionStation as an external source file of TIA Portal",
    Kind.GVL: "the two arrays, and every bit and code as a constant",
    Kind.PLCOPEN: "types, functions and FB_VisionStation as PLCopen XML",
    Kind.L5X: "FB_VisionStation as an Add-On Instruction with its data types",
    Kind.SHEET: "one page to print: timing, addresses, codes, tick-list",
}


def page(family: Family) -> Iterator[str]:
    """The page as Markdown."""
    yield f"# {family.maker}: from box to first verdict"
    yield ""
    yield f"{family.models}. Family `{family.name}`; printed by `gateway plc families {family.name}`."
    yield from _section("What it can do", _facts(family))
    yield from _section("1. Configure the gateway", _configuration(family))
    yield from _section("2. Export", _export(family))
    yield from _section("3. Import", _bullets(family.importing))
    yield from _section("4. First verdict", _numbered(family.steps))
    yield from _section("5. In every cycle", _cycle())
    yield from _section("6. Power-up, E-stop, abort", _REST)
    yield from _section("Pitfalls", _bullets(family.pitfalls))
    yield from _section("Tick off", (f"- [ ] {one}" for one in family.checklist))
    yield from _section("Sources", _sources(family))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from lines


def _facts(family: Family) -> Iterator[str]:
    limits = family.limits
    yield "| | |"
    yield "| --- | --- |"
    yield f"| word order of UDINT and REAL | {family.word_order.value} |"
    yield f"| first character of a word | {'high' if family.string_order.value == 'big' else 'low'} byte |"
    for title, role in (("polls the gateway with", family.client), ("is polled by the gateway through", family.server)):
        if role is not None:
            yield f"| {title} | {role.block}{'. ' + role.note if role.note else ''} |"
            yield f"| writes holding register {_example(role)[0]} as | {_example(role)[1]} |"
    yield f"| registers in one request | read {limits.read_registers}, write {limits.write_registers} |"
    lacks = ", ".join(str(code) for code in limits.lacks) or "none"
    yield f"| function codes it lacks | {lacks} |"
    yield f"| connections | {limits.connections} |"


def _example(role: Role) -> tuple[int, str]:
    """A register that every PLC of the family can reach."""
    number = role.notation.first + STATUS_WORDS
    return number, f"`{role.notation.address(Table.HOLDING, number)}`"


def _configuration(family: Family) -> Iterator[str]:
    orders = f"word_order: {family.word_order.value}, string_order: {family.string_order.value}"
    yield "```yaml"
    if family.client is not None:
        yield "# the PLC (192.0.2.10) polls the gateway (192.0.2.1)"
        yield f"link: {{ kind: modbus_server, host: 192.0.2.1, allow: [192.0.2.10], port: 502, unit: 1, {orders} }}"
    if family.server is not None:
        first = family.server.notation.first
        places = f"command_address: {first}, status_address: {first + COMMAND_WORDS}"
        yield f"# {'or: ' if family.client else ''}the gateway polls the PLC"
        yield f"link: {{ kind: modbus_client, host: 192.0.2.10, {places}, {orders} }}"
    yield "```"
    yield ""
    yield "Then `gateway check FILE` and `gateway run FILE`. Port 502 needs a privilege on most systems; 5020 does not."


def _export(family: Family) -> Iterator[str]:
    yield "```sh"
    yield f"gateway plc export FILE --family {family.name} --out plc"
    yield "```"
    yield ""
    for kind in family.files:
        yield f"- {' and '.join(f'`{name}`' for name in FILES[kind])}: {_KINDS[kind]}"


def _cycle() -> Iterator[str]:
    yield "FB_VisionStation does the whole handshake on its two arrays. The program does no more than this:"
    yield ""
    yield "1. Wait for `ready`. Set `part` to the number of the part and give `trigger` a rising edge."
    yield "2. When `exposureDone` is true the part may move on. It stays true until the next `trigger`."
    yield "3. Wait for `done`: exactly one of `ok`, `ng`, `recheck`, `fault` is true. Only `ok` means good."
    yield "   `code` is the reason, `result` holds score, values and times of this very part."
    yield "4. Give `ack`, or trigger the next part."
    yield ""
    yield "`fault` also comes when the gateway does not answer within `timeout`, refuses the trigger (see `code`),"
    yield "or is gone (3001). Give `exchanged` a pulse of one scan when new status words have been read; a driver that"
    yield "exchanges in every scan leaves it TRUE. `useBits` changes to bit style; sequence style is the safer one."
    yield "A `trigger` without `ready` waits for it no longer than `readyTimeout` (200 ms, and two reads at least; at"
    yield "once when the link is dead), then `fault`; one while a request runs sets `missed` and starts nothing."
    yield "In bit style `done` comes while `busy` still releases the result: a `trigger` then takes the verdict away"
    yield "and is carried out after the release."
    yield ""
    yield "Once `execute` has commanded a recipe, `ready` and every verdict demand that very number, or the part ends"
    yield "as `fault` 3007; after a `recipeFailed` command a known recipe before the next part. A verdict on a"
    yield f"simulated picture is `fault` with `code` {SIMULATED}, which is the block's own and in no list of the"
    yield "gateway's, unless `allowSimulated` is TRUE; leave it FALSE at the machine."
    yield ""
    yield "Words 10 to 31 of `command` (USER, SERIAL) belong to your program; write them before `trigger`."


_REST = """\
- At power-up nothing is asked for: an input that is TRUE in the first scan is no edge, and `linkOk` comes with the
  first beat that is seen to move. The verdict of a part that was under way is lost: inspect it again, or reject it.
- At power-up command the recipe with `execute` again: a block that has commanded none takes the verdict of any.
- Declare no instance of the block RETAIN. Where tags outlive a power cycle (Logix) the Prescan routine of the
  instruction clears the request, the verdict and `linkOk` at power-up and from PROG to RUN; sequence numbers stay.
  With retained variables elsewhere reject the part that stands under the camera at power-up, whatever `ok` says, and
  give `ack` with `enable` FALSE until `busy` and `done` are FALSE.
- E-stop: set `enable` FALSE. A trigger that still waits ends as `fault` 3009 and is never sent. A request that was
  sent runs to its verdict, or ends as `fault` 3006 where the station has `on_disable: fault`; give `abort` as well to
  end it at once. The block is no safety function: it stops no motion, and no safety circuit waits for it.
- `abort` ends a waiting trigger as `fault` 3010 in the same scan. For a request that was sent it asks the gateway,
  which answers with `fault` 3010; without an answer `timeout` ends it. Take it back when `busy` is FALSE: while it
  is TRUE every waiting trigger is dropped.
- After an E-stop or `abort`, `exposureDone` and the verdict stand until the next `trigger` or `ack`; a part without
  `ok` is not good.
""".splitlines()


def _sources(family: Family) -> Iterator[str]:
    for one in family.sources:
        yield f"- {one.title}: {one.place}{'' if one.verified else ' (from memory, not verified)'}"
    yield ""
    yield "What no verified source covers was written down from memory: trust the PLC in front of you, and tell us."


def _bullets(lines: Iterable[str]) -> Iterator[str]:
    return (f"- {line}" for line in lines)


def _numbered(lines: Iterable[str]) -> Iterator[str]:
    return (f"{number}. {line}" for number, line in enumerate(lines, 1))
