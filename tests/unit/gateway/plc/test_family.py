"""PLC families are data: each is read and checked, and a mistake is told with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway import validation, yamlfile
from gateway.plc import family, page
from gateway.plc.family import Family, Kind, Notation
from gateway.yamlfile import FileError
from protocols.codec import StringOrder, WordOrder
from protocols.modbus.registers import Table

ROOT = Path(__file__).parents[4]
PROMISED = {
    "beckhoff-twincat-3", "codesys-3.5", "delta", "generic", "inovance-xinje", "mitsubishi-q-iqr", "omron-nx",
    "rockwell-logix", "schneider-m340-m580", "siemens-s7-1200-1500", "wago",
}  # fmt: skip


def test_the_promised_families_are_there() -> None:
    assert set(family.names()) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_family_loads_and_says_its_source(name: str) -> None:
    one = family.load(name)
    assert one.name == name
    assert Kind.TABLE in one.files
    assert Kind.SHEET in one.files
    assert {Kind.ST, Kind.SCL, Kind.L5X} & set(one.files)
    assert all(source.title and source.place for source in one.sources)
    text = "\n".join(page.page(one))
    for source in one.sources:
        assert (f"{source.place} (from memory, not verified)" in text) is not source.verified


def test_word_orders_are_those_of_the_contract() -> None:
    orders = {name: family.load(name).word_order for name in family.names()}
    assert orders["siemens-s7-1200-1500"] is WordOrder.ABCD
    for name in ("codesys-3.5", "beckhoff-twincat-3", "mitsubishi-q-iqr", "rockwell-logix"):
        assert orders[name] is WordOrder.CDAB
    assert family.load("siemens-s7-1200-1500").string_order is StringOrder.BIG
    assert 23 in family.load("siemens-s7-1200-1500").limits.lacks


def test_addresses_as_the_makers_write_them() -> None:
    def written(name: str, role: str, table: Table, pdu: int) -> str:
        one = family.load(name).role("client" if role == "client" else "server")
        assert one is not None
        return one.notation.address(table, pdu)

    assert written("siemens-s7-1200-1500", "client", Table.HOLDING, 100) == "40101"
    assert written("siemens-s7-1200-1500", "client", Table.INPUT, 0) == "30001"
    assert written("siemens-s7-1200-1500", "server", Table.HOLDING, 100) == "DBW200"
    assert written("mitsubishi-q-iqr", "client", Table.HOLDING, 9) == "400010"
    assert written("mitsubishi-q-iqr", "server", Table.HOLDING, 9) == "D9"
    assert written("codesys-3.5", "client", Table.HOLDING, 31) == "16#001F"
    assert written("beckhoff-twincat-3", "server", Table.HOLDING, 0x3002) == "%MB4"
    assert written("beckhoff-twincat-3", "server", Table.HOLDING, 0x2FFF) == ""
    assert written("schneider-m340-m580", "client", Table.INPUT, 0) == ""
    assert written("rockwell-logix", "server", Table.HOLDING, 7) == "HoldingRegisters[7]"


@pytest.mark.parametrize(
    "template", ["40001", "{pdu.__class__}", "{0}", "{pdu", "{other}", "{pdu:>9999999}", "{{pdu}}"]
)
def test_a_template_takes_a_number_and_nothing_else(template: str) -> None:
    with pytest.raises(ValueError, match="no place for a number"):
        Notation(holding=template)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("codesys", "codesys-3.5"), ("simens", "siemens-s7-1200-1500"), ("Rockwell", "rockwell-logix"), ("delt", "delta")],
)
def test_a_misspelt_family_is_guessed(asked: str, meant: str) -> None:
    with pytest.raises(family.UnknownFamilyError, match=f"did you mean {meant}"):
        family.load(asked)


@pytest.mark.parametrize("asked", ["zzzz", "../demo", "", "/etc/passwd"])
def test_another_one_is_answered_with_the_list(asked: str) -> None:
    with pytest.raises(family.UnknownFamilyError, match=r"known: .*generic.*wago"):
        family.load(asked)


def test_a_mistake_in_a_file_is_told_with_its_place() -> None:
    text = (ROOT / "configs" / "maps" / "generic.yaml").read_text().replace("word_order: ABCD", "word_order: ABDC")
    with pytest.raises(FileError, match=r"generic.yaml:4:1: word_order: 'ABDC' is not allowed"):
        validation.build(yamlfile.parse(text, "generic.yaml"), Family)


def test_a_family_that_plays_no_role_is_refused() -> None:
    one = family.load("generic").model_dump(mode="json", exclude={"name"})
    with pytest.raises(ValueError, match="neither `client` nor `server`"):
        Family.model_validate({**one, "client": None, "server": None})


def test_the_wheel_carries_the_families() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"configs/maps": "gateway/plc/maps"}


def test_beside_the_module_they_are_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "own.yaml").write_text((ROOT / "configs" / "maps" / "generic.yaml").read_text())
    monkeypatch.setattr(family, "__file__", str(tmp_path / "family.py"))
    assert family.names() == ("own",)
    assert family.load("own").maker == "Any maker"


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_the_areas_of_the_page_lie_one_behind_the_other(name: str) -> None:
    one = family.load(name)
    text = "\n".join(page.page(one))
    if one.server is not None:
        first = one.server.notation.first
        assert f"command_address: {first}, status_address: {first + 32}," in text


def test_the_data_block_of_siemens_is_the_one_of_its_yaml() -> None:
    text = "\n".join(page.page(family.load("siemens-s7-1200-1500")))
    assert "MB_HOLD_REG on the whole of VisionData as P#DB1.DBX0.0 WORD 96" in text
    assert "status[0] is DBW64, register 32 (status_address: 32)" in text


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_page_tells_what_happens_outside_the_cycle(name: str) -> None:
    text = "\n".join(page.page(family.load(name)))
    section = text.split("## 6. Power-up, E-stop, abort\n")[1].split("\n## ")[0]
    for word in ("power-up", "RETAIN", "Prescan", "E-stop", "3009", "`abort`", "3010"):
        assert word in section
    for word in ("`readyTimeout`", "`allowSimulated`", "9001", "3007"):
        assert word in text
