import csv
import io
from pathlib import Path

from gateway import config as configuration
from gateway import map as register_map
from gateway.config import GatewayConfig
from protocols.station_view import RecipeFacts, StationFacts

ROOT = Path(__file__).parents[3]


def build(*links: dict[str, object]) -> GatewayConfig:
    stations = [
        {"name": f"s{n}", "link": link, "camera": {"kind": "simulated"}, "recipes": ["r"]}
        for n, link in enumerate(links)
    ]
    return GatewayConfig.model_validate({"data_dir": "d", "stations": stations})


def test_addresses_of_a_server() -> None:
    rows = {row.name: row for row in register_map.rows(build({"kind": "modbus_server"})) if row.block != "command"}
    status, part, last = rows["STATUS"], rows["PART_ID"], rows["RESULT_SEQ_COPY"]
    assert (status.table, status.pdu, status.address) == ("input", 0, "30001")
    assert (part.pdu, part.address, part.mirror_pdu, part.mirror_address) == (18, "30019", 118, "40119")
    assert (part.type, part.words, part.order, part.access) == ("UDINT", 2, "ABCD", "read")
    assert (last.pdu, last.order) == (63, "")
    assert rows["SIGNATURE_STRING"].type == "STRING[8]"


def test_stations_side_by_side_have_their_own_addresses_bits_included() -> None:
    moved = {"command_address": 1000, "status_address": 2000, "mirror_address": 3000, "coils_address": 400,
             "discrete_address": 500}  # fmt: skip
    config = build({"kind": "modbus_server"}, {"kind": "modbus_server", **moved})
    at = {(row.station, row.block, row.name): row for row in register_map.rows(config)}
    assert at["s1", "command", "TRIGGER_SEQ"].address == "41002"
    assert (at["s1", "result", "RESULT_SEQ"].pdu, at["s1", "result", "RESULT_SEQ"].mirror_pdu) == (2016, 3016)
    bits = {row.name: row for row in register_map.bits_of(config.stations[1])}
    assert bits["CONTROL.1 TRIGGER"].address == "00402"
    assert bits["STATUS.1 READY"].address == "10502"
    assert bits["RESULT_BITS.0 OK"].address == "10517"
    out = io.StringIO()
    register_map.write_markdown(config, out)
    assert "| 1 | 401 | 00402 | TRIGGER |" in out.getvalue()


def test_the_plc_writes_the_command_block_and_nothing_else() -> None:
    rows = register_map.rows(build({"kind": "modbus_server", "command_address": 200}))
    written = [row for row in rows if row.access == "write"]
    assert {row.block for row in written} == {"command"}
    assert (written[0].name, written[0].pdu, written[0].address, written[0].mirror_pdu) == (
        "CONTROL", 200, "40201", None,
    )  # fmt: skip


def test_in_a_plc_everything_is_a_holding_register_and_there_is_no_signature() -> None:
    link = {
        "kind": "modbus_client",
        "host": "plc",
        "command_address": 10_000,
        "status_address": 0,
        "word_order": "CDAB",
    }
    rows = {(row.block, row.name): row for row in register_map.rows(build(link))}
    assert rows["command", "CONTROL"].address == "410001"
    assert rows["result", "SCORE"].address == "40025"
    assert rows["result", "SCORE"].order == "CDAB"
    assert {row.table for row in rows.values()} == {"holding"}
    assert "signature" not in {row.block for row in rows.values()}


def test_stations_follow_each_other_and_a_loopback_has_no_registers() -> None:
    config = build({"kind": "modbus_server"}, {"kind": "loopback"}, {"kind": "modbus_server", "unit": 2})
    assert list(dict.fromkeys((row.station, row.unit) for row in register_map.rows(config))) == [("s0", 1), ("s2", 2)]
    out = io.StringIO()
    register_map.write_markdown(config, out)
    assert "The link is loopback: there are no registers." in out.getvalue()


def test_a_serial_line_has_the_same_map_and_is_named_as_engineers_do() -> None:
    serial = build({"kind": "modbus_rtu_server", "device": "/dev/ttyUSB0", "parity": "none"})
    assert register_map.rows(serial) == register_map.rows(build({"kind": "modbus_server"}))
    out = io.StringIO()
    register_map.write_markdown(serial, out)
    assert "The PLC polls the gateway at /dev/ttyUSB0 19200 8N1, unit 1." in out.getvalue()
    assert "| 15 | 15 | 10016 | RESULT_TOGGLE |" in out.getvalue()


def test_csv_holds_every_row() -> None:
    config = build({"kind": "modbus_server"})
    out = io.StringIO(newline="")
    register_map.write_csv(config, out)
    read = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    rows = register_map.rows(config)
    assert [row["name"] for row in read][: len(rows)] == [row.name for row in rows]
    assert {"STATUS.1 READY", "3003 trigger_while_busy"} <= {row["name"] for row in read}
    assert read[0]["mirror_pdu"] == ""
    assert read[len(rows) - 1]["mirror_pdu"] == str(rows[-1].mirror_pdu)


def test_every_markdown_table_has_as_many_cells_as_its_head() -> None:
    out = io.StringIO()
    register_map.write_markdown(build({"kind": "modbus_server"}, {"kind": "modbus_client", "host": "h"}), out)
    cells = 0
    for line in out.getvalue().splitlines():
        found = line.replace("\\|", "").count("|")
        assert not found or not cells or found == cells, line
        cells = found


def test_bits_and_fault_codes_are_listed() -> None:
    out = io.StringIO()
    register_map.write_markdown(build({"kind": "modbus_server"}), out)
    text = out.getvalue()
    assert "| 15 | 15 | 10016 | RESULT_TOGGLE |" in text
    assert "| 0 | 16 | 10017 | OK |" in text
    assert "| 1 | 1 | 00002 | TRIGGER |" in text
    assert "| 2003 | deadline_missed | F |" in text


def test_the_page_in_the_documentation_is_current() -> None:
    out = io.StringIO()
    register_map.write_markdown(configuration.load(ROOT / "configs" / "demo.yaml"), out)
    page = (ROOT / "docs" / "register-map.md").read_text("utf-8")
    assert page == out.getvalue(), "run `gateway map configs/demo.yaml > docs/register-map.md`"


FIELDS: dict[str, object] = {
    "command": {
        "CONTROL.ENABLE": {"table": "coil", "address": 8},
        "TRIGGER_SEQ": 40,
        "RESULT_ACK_SEQ": 41,
        "PART_ID": {"address": 42, "type": "UINT"},
        "SERIAL": {"address": 50, "words": 8},
    },
    "outputs": {
        "STATUS.READY": {"address": 60, "bit": 3},
        "HEARTBEAT": 61,
        "RESULT_SEQ": 70,
        "TRIGGER_SEQ": 71,
        "JUDGEMENT": {"address": 72, "type": "UDINT"},
    },
}


def test_mapped_fields_are_listed_where_they_lie_and_no_others() -> None:
    config = build({"kind": "modbus_client", "host": "plc", "word_order": "CDAB", "fields": FIELDS})
    rows = {(row.access, row.name): row for row in register_map.rows(config)}
    assert {name for _, name in rows} == {
        "TRIGGER_SEQ", "RESULT_ACK_SEQ", "PART_ID", "SERIAL", "HEARTBEAT", "RESULT_SEQ", "JUDGEMENT"
    }  # fmt: skip
    assert (rows["write", "TRIGGER_SEQ"].address, rows["read", "TRIGGER_SEQ"].address) == ("40041", "40072")
    part, verdict = rows["write", "PART_ID"], rows["read", "JUDGEMENT"]
    assert (part.type, part.words, part.order) == ("UINT", 1, "")
    assert (verdict.type, verdict.words, verdict.order) == ("UDINT", 2, "CDAB")
    assert rows["write", "SERIAL"].type == "STRING[16]"
    bits = {row.name: row for row in register_map.bits_of(config.stations[0])}
    assert {name: (row.table, row.address, row.access) for name, row in bits.items()} == {
        "CONTROL.0 ENABLE": ("coil", "00009", "write"),
        "STATUS.1 READY": ("holding", "40061.3", "read"),
    }


def test_a_page_of_mapped_fields_says_the_table_of_each() -> None:
    out = io.StringIO()
    register_map.write_markdown(
        build({"kind": "modbus_client", "host": "plc", "fields": {"command": FIELDS["command"]}}), out
    )
    text = out.getvalue()
    assert "| coil | 8 | 00009 | CONTROL.0 ENABLE | BOOL |" in text
    assert "| holding | 50-57 | 40051 | SERIAL | STRING[16] |" in text
    assert "| 118-119 | 40119 | PART_ID | UDINT |" in text  # the outputs are a block
    assert "What is not listed is left alone." in text
    assert "### Bits of CONTROL" not in text
    assert "### Bits of STATUS" in text


def test_fields_are_in_the_csv_too() -> None:
    out = io.StringIO(newline="")
    register_map.write_csv(build({"kind": "modbus_client", "host": "plc", "fields": FIELDS}), out)
    read = {row["name"]: row for row in csv.DictReader(io.StringIO(out.getvalue(), newline=""))}
    assert read["STATUS.1 READY"]["address"] == "40061.3"
    assert read["HEARTBEAT"]["pdu"] == "61"


def test_nodes_of_the_opc_ua_server_stand_beside_the_registers() -> None:
    facts = StationFacts("s0", (RecipeFacts(1, "caps", values=("width",), checks=("burr",)),))
    config = build({"kind": "modbus_server"})
    out = io.StringIO()
    register_map.write_markdown(config, out, [facts])
    lines = out.getvalue().splitlines()
    assert "### Nodes of station s0" in lines
    written = [line for line in lines if line.startswith("| ns=2;s=s0.Command.TRIGGER_SEQ |")]
    assert [line.split(" | ")[1:3] for line in written] == [["UInt16", "read, write"]]
    assert any("| ns=2;s=s0.Result.Values.width | Float | read |" in line for line in lines)
    assert any("| ns=2;s=s0.Result.VALUE | Float[13] | read |" in line for line in lines)
    out = io.StringIO(newline="")
    register_map.write_csv(config, out, [facts])
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    (seq,) = [
        row for row in rows if row["table"] == "opc ua" and row["name"] == "TRIGGER_SEQ" and row["block"] == "command"
    ]
    assert (seq["address"], seq["type"], seq["access"]) == ("ns=2;s=s0.Command.TRIGGER_SEQ", "UInt16", "write")


def test_without_the_opc_ua_server_the_map_speaks_of_none() -> None:
    out = io.StringIO()
    register_map.write_markdown(build({"kind": "modbus_server"}), out)
    assert "ns=2;s=" not in out.getvalue()
