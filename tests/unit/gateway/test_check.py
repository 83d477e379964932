import hashlib
import io
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import certs
from gateway import check as checks
from gateway.check import Computer, check
from gateway.config import StationConfig
from gateway.probe import Probed
from gateway.recipe import Recipe
from gateway.report import Item, Report, Status
from gateway.vision.wire import ModelFacts
from protocols.modbus import serial_port

MODEL = b"a model"
RECIPE = f"""\
recipe: part
number: 1
model: {{file: model.onnx, sha256: {hashlib.sha256(MODEL).hexdigest()}}}
task: {{kind: detect, format: end2end}}
rules: [{{name: bad, when: {{label: burr, min_score: 0.5}}, verdict: NG, code: 1}}]
"""
CONFIG = """\
data_dir: data
stations:
  - name: cell1
    link: {kind: modbus_server, port: 5020, unit: 1}
    camera: {kind: simulated}
    recipes: [part]
  - name: cell2
    link: {kind: modbus_server, port: 5020, unit: 2}
    camera: {kind: simulated}
    recipes: [part]
"""
FACTS = ModelFacts(provider="CPU", labels=("burr", "scratch"), input_width=320, input_height=256)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "part" / "model.onnx").write_bytes(MODEL)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "config.yaml"


def computer(
    probed: Probed = Probed(FACTS),  # noqa: B008 - frozen
    port: str | None = None,
    space: int = 2**34,
    clock: float = 1_800_000_000.0,
    running: bool = False,
) -> Computer:
    def model(station: StationConfig, recipe: Recipe) -> Probed:
        return probed

    return Computer(lambda host, number: port, model, lambda folder: space, lambda: clock, lambda folder: running)


def lines(report: Report, status: Status) -> list[str]:
    def walk(item: Item) -> list[str]:
        return [item.text] * (item.status is status) + [text for below in item.items for text in walk(below)]

    return walk(report.root)


def errors(report: Report) -> list[str]:
    assert report.exit_code == 1
    return lines(report, Status.ERROR)


def test_all_right(config: Path) -> None:
    report = check(config, computer())
    assert (report.exit_code, report.summary) == (0, "all right")
    text = "\n".join(report.lines())
    for part in ("station cell2", "recipe 1 part, revision 1", "320 x 256, CPU, labels burr, scratch", "16.0 GiB free"):
        assert part in text


def test_a_bad_configuration_is_told_in_full(config: Path) -> None:
    config.write_text(CONFIG.replace("port: 5020, unit: 1", "prot: 1").replace("data_dir: data", "data_dir: 1"))
    found = errors(check(config, computer()))
    assert len(found) == 2
    assert f"{config}:4:33: stations[0].link.prot: is not a known key; did you mean port?" in found


def test_all_findings_come_at_once(config: Path) -> None:
    (config.parent / "part" / "model.onnx").write_bytes(b"another model")
    report = check(config, computer(port="cannot listen", space=10**6, clock=0.0))
    found = errors(report)
    assert len(found) == 1 + 1 + 2  # disk, the shared port once, a model for each station
    assert report.summary == "4 errors, 3 warnings"
    assert "has SHA-256" in found[-1]
    assert lines(report, Status.WARNING)[0].startswith("clock: 1970-01-01 00:00:00 UTC lies in the past")


def test_warnings_do_not_fail(config: Path) -> None:
    config.write_text(CONFIG.replace("port: 5020, unit: 1", "host: 192.168.3.4, port: 5021, unit: 1, allow: any"))
    report = check(config, computer(space=2**29))
    assert (report.exit_code, report.summary) == (0, "0 errors, 2 warnings")


def test_a_listener_for_everybody_is_a_warning(config: Path) -> None:
    config.write_text(CONFIG.replace("port: 5020, unit: 1", "host: 0.0.0.0, port: 5021, unit: 1, allow: any"))
    report = check(config, computer())
    assert (report.exit_code, report.summary) == (0, "0 errors, 2 warnings")
    told = "\n".join(lines(report, Status.WARNING))
    assert "0.0.0.0 lets everybody who reaches this computer command the station" in told
    assert "0.0.0.0 listens in every network of this computer" in told


def test_two_names_of_one_port_are_told(config: Path) -> None:
    config.write_text(CONFIG.replace("port: 5020, unit: 2", "host: localhost, port: 5020, unit: 2"))
    (found,) = errors(check(config, computer()))
    assert "localhost:5020 and 127.0.0.1:5020 of stations[0] are the same port; use one host for both" in found


def test_a_model_that_cannot_be_loaded(config: Path) -> None:
    found = errors(check(config, computer(Probed(None, "the vision process ended: signal SIGSEGV"))))
    assert found == ["model: the vision process ended: signal SIGSEGV"] * 2


def test_a_camera_that_is_not_there(config: Path) -> None:
    assert errors(check(config, computer(Probed(FACTS, camera="no such folder")))) == ["camera: no such folder"] * 2


def test_a_network_on_another_device_than_wished_is_a_warning(config: Path) -> None:
    report = check(config, computer(Probed(replace(FACTS, missed="cuda is not there; the processor runs the network"))))
    assert report.exit_code == 0
    assert "WARNING" in next(line for line in report.lines() if "cuda is not there" in line)


def test_labels_the_model_does_not_know(config: Path) -> None:
    facts = ModelFacts(labels=("bur", "scratch"))
    assert "rule 'bad': the model knows no 'burr'; use one of bur, scratch" in errors(
        check(config, computer(Probed(facts)))
    )


def test_a_running_gateway_may_hold_its_own_port(config: Path) -> None:
    report = check(config, computer(port="address in use", running=True))
    assert report.exit_code == 0
    assert "not tried, as the gateway is running" in "\n".join(report.lines())


def test_a_serial_line_is_looked_at_once_and_explained(config: Path) -> None:
    for unit in (1, 2):
        old = f"{{kind: modbus_server, port: 5020, unit: {unit}}}"
        config.write_text(config.read_text().replace(old, f"{{kind: modbus_rtu_server, device: none, unit: {unit}}}"))
    (error,) = errors(check(config, computer()))
    assert error.startswith("link: Modbus RTU server on none 19200 8E1, unit 1; there is no such device; plug")
    fine = replace(computer(), device=lambda device: None)
    assert check(config, fine).exit_code == 0


def test_a_line_without_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    text = serial_port.trouble("/dev/null")
    assert text == "this user may not open it; add the user to the group dialout and log in again"


def test_a_data_dir_that_cannot_be_written(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gateway.check.tempfile.TemporaryFile", refuse)
    assert "cannot write in" in errors(check(config, computer()))[0]


def test_the_check_leaves_nothing_behind(config: Path) -> None:
    before = sorted(config.parent.rglob("*"))
    check(config, computer())
    assert sorted(config.parent.rglob("*")) == before


def test_plain_text_marks_errors_and_never_colours(config: Path) -> None:
    out = io.StringIO()
    check(config, computer(port="cannot listen (x); stop it")).show(out)
    assert "ERROR       link: Modbus server at 127.0.0.1:5020, unit 1; cannot listen (x); stop it\n" in out.getvalue()
    assert out.getvalue().endswith("1 error, 0 warnings\n")
    assert "\x1b" not in out.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_tree(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    item = Item("root [bold]x[/bold]")
    item.add("broken", Status.ERROR)
    Report(item).show(out)
    assert "── " in out.getvalue()
    assert "[bold]x[/bold]" in out.getvalue()  # text from files is no markup
    assert "\x1b[" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    bare = Terminal()
    Report(item).show(bare)
    assert "\x1b[" not in bare.getvalue()


@pytest.mark.parametrize("worst", list(Status))
def test_a_branch_is_as_bad_as_its_worst_line(worst: Status) -> None:
    item = Item("a")
    item.add("b").add("c", worst)
    item.add("d")
    assert item.worst is worst


def test_the_clock_limit_lies_in_the_past() -> None:
    assert time.gmtime(checks.EARLIEST)[:3] == (2026, 1, 1)


def test_where_a_plc_is_polled_is_told(config: Path) -> None:
    link = "{kind: modbus_client, host: plc, quirks: {max_write: 40}}"
    config.write_text(CONFIG.replace("{kind: modbus_server, port: 5020, unit: 1}", link))
    text = "\n".join(check(config, computer()).lines())
    assert "PLC at plc:502, unit 1; not contacted by this check" in text
    assert "reads 40001 to 40032: 1 request\n" in text
    assert "writes 40101 to 40140, 40141 to 40164: 2 requests\n" in text


def test_mapped_fields_are_told_where_they_lie(config: Path) -> None:
    fields = (
        "{command: {CONTROL: 40, TRIGGER_SEQ: 50}, outputs: {HEARTBEAT: 60, JUDGEMENT: 61, "
        "STATUS.READY: {table: coil, address: 7}, STATUS.TRIGGER_ACK: {table: coil, address: 8}, "
        "STATUS.RESULT_VALID: {table: coil, address: 9}}}"
    )
    link = f"{{kind: modbus_client, host: plc, fields: {fields}}}"
    config.write_text(CONFIG.replace("{kind: modbus_server, port: 5020, unit: 1}", link))
    text = "\n".join(check(config, computer()).lines())
    assert "reads 40041, 40051: 2 requests\n" in text
    assert "writes 00008 to 00010, 40061 to 40062: 2 requests\n" in text


def test_a_field_that_cannot_be_is_told_with_its_place(config: Path) -> None:
    link = "{kind: modbus_client, host: plc, fields: {command: {CONTROL: 40, TRIGER_SEQ: 50}}}"
    config.write_text(CONFIG.replace("{kind: modbus_server, port: 5020, unit: 1}", link))
    (error,) = errors(check(config, computer()))
    assert "stations[0].link" in error
    assert "TRIGER_SEQ is no field of the command block; did you mean TRIGGER_SEQ?" in error


def test_certificates_of_the_opcua_server_and_its_users_are_read(config: Path) -> None:
    config.write_text("opcua: {port: 4999, certificate: own.pem, key: own.key}\n" + CONFIG)
    (error,) = errors(check(config, computer()))
    assert "own.pem: cannot be read (no such file or directory); mend the path, or make both with" in error
    now, later = time.time(), time.time() + 3 * 86_400
    for name in ("own", "other"):
        wish = certs.Wish(name, ["127.0.0.1"], [], "", days=2, key="rsa", authority=False, opcua=True)
        certs.save(certs.make(wish, None), config.parent)
    assert any("own.pem, valid until" in line for line in lines(check(config, computer(clock=now)), Status.OK))
    assert any("clients refuse it" in line for line in lines(check(config, computer(clock=later)), Status.WARNING))
    config.write_text("opcua: {port: 4999, certificate: own.pem, key: other.key}\n" + CONFIG)
    (error,) = errors(check(config, computer()))
    assert "other.key: does not belong to" in error
    config.write_text("opcua: {port: 4999, users: [{name: carla, certificate: carla.pem}]}\n" + CONFIG)
    (error,) = errors(check(config, computer()))
    assert "carla.pem: the certificate of user 'carla' cannot be read" in error


def test_the_opcua_server_and_the_link_at_its_variables_are_looked_at(config: Path) -> None:
    text = CONFIG.replace("{kind: modbus_server, port: 5020, unit: 2}", "{kind: opcua_server}")
    config.write_text("opcua: {port: 4999}\n" + text)
    assert "OPC UA server at 127.0.0.1:4999" in lines(check(config, computer()), Status.OK)
    assert "link: Command variables of the OPC UA server" in lines(check(config, computer()), Status.OK)
    taken = errors(check(config, computer(port="cannot listen; change link.host or link.port")))
    assert "OPC UA server at 127.0.0.1:4999; cannot listen; change opcua.host or opcua.port" in taken
    running = check(config, computer(port="taken", running=True))
    assert "OPC UA server at 127.0.0.1:4999; not tried, as the gateway is running" in lines(running, Status.OK)
