"""What is exported: golden files, the same addresses everywhere, XML of the right shape, nobody's files overwritten."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gateway.map import rows_of
from gateway.plc import export, family, st
from gateway.plc.family import Kind
from gateway.plc.table import ExportError, places
from gateway.plc.variables import Times, variables
from gateway.settings import CycleConfig
from protocols.codec import WordOrder
from protocols.modbus.registers import FIELDS, STATUS_BITS, Block, RegisterMap, Table
from tests.plc_export import GOLDEN, configuration, exported, golden_files, link_for

FAMILIES = family.names()
EVERYTHING = tuple(Kind)
PLCOPEN = "{http://www.plcopen.org/xml/tc6_0201}"


def rows(name: str, **link: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(name, (Kind.TABLE,), **link)["registers.csv"], newline="")))


# ---------------------------------------------------------------- golden files


def test_the_golden_files_are_what_is_exported() -> None:
    """When a change is wanted: python -m tests.plc_export, then read the difference."""
    wanted = golden_files()
    kept = {path.relative_to(GOLDEN) for path in GOLDEN.rglob("*") if path.is_file()}
    assert kept == set(wanted)
    changed = [path for path, text in wanted.items() if (GOLDEN / path).read_text(encoding="utf-8") != text]
    assert changed == [], "run `python -m tests.plc_export` and read the difference"


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("kind", ["modbus_server", "modbus_client"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_address_is_the_map_s(name: str, kind: str) -> None:
    one = family.load(name)
    role = one.client if kind == "modbus_server" else one.server
    assert role is not None
    base = role.notation.first if kind == "modbus_client" else 0
    bases: dict[str, Any] = {"command_address": base + 200, "status_address": base + 300}
    table = rows(name, kind=kind, **bases) if kind == "modbus_server" else rows_as_client(name, bases)
    words = {(row["block"], row["name"]): row for row in table if row["words"] not in ("", "0")}
    registers = RegisterMap(command=200, status=300)
    for field in FIELDS:
        if kind == "modbus_client" and field.block is Block.SIGNATURE:
            continue
        row = words.pop((field.block.value, field.name))
        allowed = registers.places(field)
        if kind == "modbus_client":
            first = bases["command_address" if field.block is Block.COMMAND else "status_address"]
            allowed = ((Table.HOLDING, first + field.word),)
        pdu = int(row["pdu"])
        chosen = [place for place in allowed if place[1] == pdu]
        assert chosen, f"{field.name}: {pdu} is not one of {allowed}"
        assert row["address"] == role.notation.address(*chosen[0]) != ""
    assert words == {}


def rows_as_client(name: str, bases: dict[str, Any]) -> list[dict[str, str]]:
    config = configuration(link_for(name, "modbus_client", **bases))
    (_, table) = export.files(config, family.load(name), (Kind.TABLE,))
    return list(csv.DictReader(io.StringIO(table.text, newline="")))


def test_every_bit_has_a_place() -> None:
    table = {row["name"]: row for row in rows("siemens-s7-1200-1500")}
    assert table["STATUS.1 READY"]["address"] == "10002"
    assert table["CONTROL.0 ENABLE"]["address"] == "1"
    alone = {row["name"]: row for row in rows("schneider-m340-m580")}
    assert alone["STATUS.1 READY"]["address"] == "%MW100 bit 1"
    assert sum(name.startswith("STATUS.") for name in table) == len(STATUS_BITS)


@pytest.mark.parametrize("name", FAMILIES)
def test_markdown_and_csv_hold_the_same_addresses(name: str) -> None:
    text = exported(name, (Kind.TABLE,))["registers.md"]
    told = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| address"))]
    shown = [row for row in rows(name) if row["block"] != "code"]
    assert len(told) == len(shown)
    for row in shown:
        assert f"| {row['address']} | {row['table']} | {row['pdu']} | {row['name']} |" in text


def test_a_table_is_csv_as_rfc_4180_has_it() -> None:
    text = exported("generic", (Kind.TABLE,))["registers.csv"]
    assert text.endswith("\r\n")
    assert len({len(row) for row in csv.reader(io.StringIO(text, newline=""))}) == 1


def test_blocks_beyond_the_plc_s_memory_are_refused() -> None:
    config = configuration(link_for("beckhoff-twincat-3", "modbus_client"))
    with pytest.raises(ExportError, match=r"cell1: .* which this PLC cannot reach; its registers begin at 12288"):
        export.files(config, family.load("beckhoff-twincat-3"))


def test_a_role_the_plc_cannot_play_is_refused() -> None:
    one = family.load("generic").model_copy(update={"server": None})
    config = configuration(link_for("generic", "modbus_client"))
    with pytest.raises(ExportError, match=r"generic cannot be the server of modbus_client; use kind: modbus_server"):
        places(config.stations[0], one)


# ---------------------------------------------------------------- languages


@pytest.mark.parametrize("name", FAMILIES)
def test_program_texts_are_ascii_and_say_where_they_come_from(name: str) -> None:
    for path, text in exported(name, EVERYTHING).items():
        head = text[:400]
        assert export.MARK in head or path.endswith(".csv")
        if not path.endswith((".md", ".csv", ".html", ".xml")):
            assert text.isascii(), path


def test_scl_is_the_same_text_with_its_signs() -> None:
    """Its marks taken away, the SCL block is the ST block, which is parsed and executed elsewhere."""
    scl, plain = (exported("generic", (kind,)) for kind in (Kind.SCL, Kind.ST))
    wanted = plain["FB_VisionStation.st"].split("FUNCTION_BLOCK FB_VisionStation\n")[1]
    found = scl["FB_VisionStation.scl"].split('FUNCTION_BLOCK "FB_VisionStation"\n')[1]
    code = "\n".join(re.sub(r"\(\*.*?\*\)", "", line) for line in found.splitlines())
    names = [one.name for one in variables(Times())]
    body = code.split("BEGIN\n")[1]
    for name in names:
        assert not re.search(rf"(?<![\w.#]){name}\b(?! :=)", body), f"{name} without #"
    for name in ("VisionUdint", "VisionWord", "VisionReal"):
        assert not re.search(rf'(?<!"){name}', body), f"{name} without quotes"
    bare = found.replace("BEGIN\n", "").replace("#", "\0").replace("16\0", "16#").replace("T\0", "T#")
    bare = (
        bare.replace("WORD\0", "WORD#")
        .replace("UDINT\0", "UDINT#")
        .replace("\0", "")
        .replace('"', "")
        .replace("TON_TIME", "TON")
    )
    bare = bare.replace("{ S7_Optimized_Access := 'TRUE' }\nVERSION : 0.1\n", "")
    assert bare == wanted


def test_step7_takes_a_real_over_bit_by_bit() -> None:
    assert "DWORD_TO_REAL(UDINT_TO_DWORD(#raw))" in exported("siemens-s7-1200-1500")["FB_VisionStation.scl"]
    assert "DWORD_TO_REAL" not in exported("codesys-3.5")["FB_VisionStation.st"], "elsewhere it converts the number"


def test_the_word_order_of_the_configuration_reaches_the_functions() -> None:
    for order, first in ((WordOrder.ABCD, "first"), (WordOrder.CDAB, "second")):
        text = exported("generic", (Kind.ST,), word_order=order)["FB_VisionStation.st"]
        assert f"high := WORD_TO_UINT({first});" in text


def test_times_follow_the_configuration() -> None:
    times = Times.of(
        CycleConfig(deadline_ms=4000, heartbeat_ms=500, plc_heartbeat_timeout_ms=300, command_timeout_s=60)
    )
    assert (times.request, times.gateway, times.beat, times.recipe) == (9000, 1500, 60, 65_000)
    text = "\n".join(st.declarations(times))
    assert "timeout : TIME := T#9000ms;" in text
    assert "gatewayTimeout : TIME := T#1500ms;" in text


def test_constants_are_the_catalogue_s() -> None:
    text = exported("codesys-3.5")["GVL_Vision.st"]
    assert "VISION_STATUS_READY : WORD := 16#0002;" in text
    assert "VISION_CODE_DEADLINE_MISSED : UINT := 2003;" in text
    names = [name.lower() for name, *_ in st.constants()]
    assert len(names) == len(set(names))


# ---------------------------------------------------------------- XML


def tree(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - the file is ours


def test_plcopen_has_the_shape_of_tc6() -> None:
    root = tree(exported("generic")["FB_VisionStation.xml"])
    assert root.tag == f"{PLCOPEN}project"
    assert [child.tag.removeprefix(PLCOPEN) for child in root] == ["fileHeader", "contentHeader", "types", "instances"]
    assert {"companyName", "productName", "productVersion", "creationDateTime"} <= set(root[0].attrib)
    pous = {pou.get("name"): pou for pou in root.iter(f"{PLCOPEN}pou")}
    assert list(pous) == ["VisionUdint", "VisionWord", "VisionReal", "FB_VisionStation"]
    for pou in pous.values():
        assert [child.tag.removeprefix(PLCOPEN) for child in pou] == ["interface", "body"]
        first = pou.find(f"{PLCOPEN}interface/{PLCOPEN}returnType")
        assert (first is not None) is (pou.get("pouType") == "function")
        assert pou.find(f"{PLCOPEN}body/{PLCOPEN}ST/{{http://www.w3.org/1999/xhtml}}p") is not None
    assert [one.get("name") for one in root.iter(f"{PLCOPEN}dataType")] == ["VisionStatus", "VisionResult"]


def test_plcopen_holds_the_text_and_the_variables_of_the_st_file() -> None:
    files = exported("generic")
    root, plain = tree(files["FB_VisionStation.xml"]), files["FB_VisionStation.st"]
    pou = next(one for one in root.iter(f"{PLCOPEN}pou") if one.get("name") == "FB_VisionStation")
    body = "".join(pou.find(f"{PLCOPEN}body").itertext()).strip()  # type: ignore[union-attr]
    assert body == plain.split("END_VAR\n")[-1].replace("END_FUNCTION_BLOCK", "").strip()
    for section, tag in (("VAR_INPUT", "inputVars"), ("VAR_OUTPUT", "outputVars"), ("VAR_IN_OUT", "inOutVars")):
        declared = plain.split("FUNCTION_BLOCK FB")[1].split(f"{section}\n")[1].split("END_VAR")[0]
        names = re.findall(r"^  (\w+) :", declared, flags=re.MULTILINE)
        found = [one.get("name") for one in pou.find(f"{PLCOPEN}interface/{PLCOPEN}{tag}")]  # type: ignore[union-attr]
        assert found == names
    timeout = next(one for one in pou.iter(f"{PLCOPEN}variable") if one.get("name") == "timeout")
    assert timeout.find(f".//{PLCOPEN}simpleValue").get("value") == "T#2000ms"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "version"), [("codesys-3.5", "0200"), ("beckhoff-twincat-3", "0200"), ("omron-nx", "0201")]
)
def test_plcopen_is_of_the_version_that_the_tool_reads(name: str, version: str) -> None:
    assert tree(exported(name)["FB_VisionStation.xml"]).tag.startswith(f"{{http://www.plcopen.org/xml/tc6_{version}}}")


def test_l5x_has_the_shape_of_an_add_on_instruction() -> None:
    root = tree(exported("rockwell-logix")["FB_VisionStation.L5X"])
    assert (root.tag, root.get("TargetType")) == ("RSLogix5000Content", "AddOnInstructionDefinition")
    (controller,) = root
    assert [child.tag for child in controller] == ["DataTypes", "AddOnInstructionDefinitions"]
    (aoi,) = controller[1]
    assert (aoi.get("Name"), aoi.get("Use")) == (root.get("TargetName"), "Target")
    assert [child.tag for child in aoi] == ["Description", "Parameters", "LocalTags", "Routines"]
    assert [(one.get("Name"), one.get("Type")) for one in aoi.iter("Routine")] == [("Logic", "ST"), ("Prescan", "ST")]
    assert aoi.get("ExecutePrescan") == "true"


def test_l5x_parameters_are_what_logix_allows() -> None:
    root = tree(exported("rockwell-logix")["FB_VisionStation.L5X"])
    types = {one.get("Name") for one in root.iter("DataType")}
    assert types == {"VisionStatus", "VisionResult"}
    for one in root.iter("Parameter"):
        atomic = one.get("DataType") in ("BOOL", "SINT", "INT", "DINT", "REAL") and one.get("Dimensions") is None
        assert atomic or one.get("Usage") == "InOut", one.get("Name")
        assert one.get("DataType") in types or one.get("DataType") in ("BOOL", "INT", "DINT")
        if one.get("Usage") == "InOut":
            assert one.get("ExternalAccess") is None
    assert [one.get("Name") for one in root.iter("Parameter")][:2] == ["EnableIn", "EnableOut"]
    names = [one.get("Name", "") for one in (*root.iter("Parameter"), *root.iter("LocalTag"), *root.iter("Member"))]
    assert max(map(len, names)) <= 40, "Logix names have 40 characters at most"
    lines = [one.text or "" for one in root.iter("Line")]
    assert not any(re.search(r"\b(TRUE|FALSE|UINT|WORD|T#)\b", re.sub(r"\(\*.*?\*\)", "", line)) for line in lines)


def test_l5x_reads_the_words_of_the_map() -> None:
    lines = [one.text or "" for one in tree(exported("rockwell-logix")["FB_VisionStation.L5X"]).iter("Line")]
    fields = {field.name: field.word for field in FIELDS if field.block is Block.STATUS}
    assert f"gateway.notReadyReason := status[{fields['NOT_READY_REASON']}] AND 65535;" in lines
    assert f"readyBit := status[{fields['STATUS']}].1;" in lines


def test_a_station_s_name_ends_no_comment() -> None:
    config = configuration(link_for("generic"))
    station = config.stations[0].model_copy(update={"name": "a--b"})
    config = config.model_copy(update={"stations": (station,)})
    for file in export.files(config, family.load("generic"), EVERYTHING):
        if file.path.suffix in (".xml", ".L5X"):
            tree(file.text)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sheet_is_whole(name: str) -> None:
    text = exported(name, (Kind.SHEET,))["sheet.html"]
    root = tree(text.removeprefix("<!DOCTYPE html>\n").replace("&#9744;", ""))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == 2
    cells = {cell.text for cell in root.iter("td")}
    assert {"2003", "RESULT_SEQ", "1 READY"} <= cells
    assert "http://" not in re.sub(r'xmlns="[^"]*"', "", text), "it needs no other file"


# ---------------------------------------------------------------- stations, doubts, files


def test_one_station_lies_flat_and_several_in_folders() -> None:
    two = configuration(link_for("generic"), link_for("generic", unit=2))
    one = family.load("generic")
    assert {file.path.parent for file in export.files(two, one)} == {Path("cell1"), Path("cell2")}
    assert {file.path.parent for file in export.files(two, one, station="cell2")} == {Path()}
    with pytest.raises(ExportError, match="there is no station cell3; did you mean cell"):
        export.files(two, one, station="cell3")


def test_a_station_without_registers_is_told() -> None:
    config = configuration({"kind": "loopback"})
    one = family.load("generic")
    with pytest.raises(ExportError, match="no station speaks Modbus"):
        export.files(config, one)
    with pytest.raises(ExportError, match="its link is loopback, there are no registers"):
        export.files(config, one, station="cell1")


def test_other_orders_than_the_family_s_are_doubted() -> None:
    config = configuration(link_for("siemens-s7-1200-1500"))
    assert list(export.doubts(config, family.load("siemens-s7-1200-1500"))) == []
    first, second = export.doubts(config, family.load("codesys-3.5"))
    assert "its word_order is ABCD, but codesys-3.5 keeps UDINT and REAL as CDAB" in first
    assert "Set word_order: CDAB in its link" in first
    assert "Set string_order: little in its link" in second


def test_own_files_are_written_anew_and_others_are_not(tmp_path: Path) -> None:
    files = export.files(configuration(link_for("generic")), family.load("generic"), EVERYTHING)
    assert len(export.write(files, tmp_path)) == len(export.write(files, tmp_path)) == len(files)
    for path in sorted(tmp_path.iterdir()):
        kept = path.read_bytes()
        path.write_text("mine")
        before = {other: other.stat().st_mtime_ns for other in tmp_path.iterdir()}
        with pytest.raises(ExportError, match=re.escape(f"{path} was not written by `gateway plc export`")):
            export.write(files, tmp_path)
        assert {other: other.stat().st_mtime_ns for other in tmp_path.iterdir()} == before, "nothing is half done"
        assert path.read_text() == "mine"
        path.write_bytes(kept)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    files = export.files(configuration(link_for("generic")), family.load("generic"))
    with pytest.raises(ExportError, match="cannot be written"):
        export.write(files, tmp_path / "file" / "below")


def test_rows_come_from_the_one_map() -> None:
    station = configuration(link_for("generic")).stations[0]
    table = [one for one in places(station, family.load("generic")) if one.words]
    assert [(one.name, one.words, one.order) for one in table] == [
        (row.name, row.words, row.order) for row in rows_of(station)
    ]


def test_blocks_that_differ_under_one_name_are_doubted() -> None:
    one = family.load("generic")
    alike = configuration(link_for("generic"), link_for("generic", unit=2))
    assert list(export.doubts(alike, one)) == []
    orders = configuration(link_for("generic"), link_for("generic", unit=2, word_order=WordOrder.DCBA))
    doubt = next(iter(export.doubts(orders, one)))
    assert "stations cell1, cell2: the blocks differ in word order or times under one name" in doubt
    assert not any("under one name" in text for text in export.doubts(orders, one, "cell2"))
    stations = [
        station.model_copy(update={"cycle": CycleConfig(deadline_ms=300 * n)})
        for n, station in enumerate(alike.stations, 5)
    ]
    times = alike.model_copy(update={"stations": tuple(stations)})
    assert "do not import two of them into one PLC project" in next(iter(export.doubts(times, one)))


def test_step7_gets_typed_numbers_where_udint_is_meant() -> None:
    text = exported("siemens-s7-1200-1500")["FB_VisionStation.scl"]
    assert "UINT_TO_UDINT(#high) * UDINT#65536 + UINT_TO_UDINT(#low)" in text
    assert not re.search(r"(?<![#\d])(65536|8388608)\b", text)
