import asyncio
import io
import json
import os
from asyncio.subprocess import Process
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from protocols.codec import StringOrder, WordOrder
from protocols.faults import Code
from protocols.signals import Judgement, Outputs, Result, Status, StatusBit
from simulators import __main__ as command_line
from simulators import demo, demo_setup, plc_command, process, report
from simulators.demo_setup import DemoError
from simulators.line import Record, Tally
from simulators.plc import Answer, Plc
from simulators.process import GatewayProcess
from simulators.table import ROWS, Live
from simulators.watch import Watch
from tests.unit.simulators.bench import Bench

ROOT = Path(__file__).parents[3]

CONFIG = """\
name: demo
data_dir: ../data
stations:
  - name: cell9
    link: {kind: modbus_server, host: 0.0.0.0, port: 5099, unit: 4, word_order: CDAB, string_order: little}
    camera: {kind: simulated, seed: 11, defect_rate: 0.25}
    recipes: [recipes/bracket]
    cycle: {deadline_ms: 450}
"""


def config(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "demo.yaml"
    path.write_text(text)
    return path


# ---------------------------------------------------------------- configuration


def test_what_the_demo_reads_of_the_configuration(tmp_path: Path) -> None:
    setup = demo_setup.read(config(tmp_path))
    assert (setup.station, setup.host, setup.port, setup.unit) == ("cell9", "127.0.0.1", 5099, 4)
    assert (setup.codec.word_order, setup.codec.string_order) == (WordOrder.CDAB, StringOrder.LITTLE)
    assert (setup.seed, setup.defect_rate, setup.deadline) == (11, 0.25, 0.45)
    assert setup.data_dir == tmp_path / "../data"


def test_what_is_left_out_has_the_gateway_s_defaults(tmp_path: Path) -> None:
    text = "data_dir: d\nstations: [{name: a, link: {kind: modbus_server}, camera: {kind: simulated}}]\n"
    setup = demo_setup.read(config(tmp_path, text))
    assert (setup.host, setup.port, setup.unit, setup.seed, setup.defect_rate, setup.deadline) == (
        "127.0.0.1", 502, 1, 1, 0.3, 0.3,
    )  # fmt: skip


@pytest.mark.parametrize("link", demo_setup.LINKS)
def test_the_demo_s_own_configurations_can_be_read(link: str) -> None:
    setup = demo_setup.read(ROOT / demo.CONFIGS[link])
    assert setup.port > 1023
    assert setup.kind == demo_setup.LINKS[link]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("data_dir: x\n", "does not describe a gateway"),
        ("- 1\n", "does not describe a gateway"),
        (CONFIG.replace("port: 5099", "port: many"), "does not describe a gateway"),
        (CONFIG.replace("CDAB", "ACBD"), "does not describe a gateway"),
        (CONFIG.replace("kind: simulated", "kind: folder"), "and a simulated camera, station cell9 has"),
        (CONFIG.replace("kind: modbus_server", "kind: loopback"), "station cell9 has loopback"),
    ],
)
def test_a_configuration_that_the_demo_cannot_play(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DemoError, match=said):
        demo_setup.read(config(tmp_path, text))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["demo", "--config", str(tmp_path / "none.yaml")]) == 1
    error = capsys.readouterr().err
    assert "No such file" in error
    assert error.count("\n") == 1


def test_port_0_is_refused(tmp_path: Path) -> None:
    setup = demo_setup.read(config(tmp_path, CONFIG.replace("5099", "0")))
    with pytest.raises(DemoError, match="give a port"):
        demo_setup.check_port(setup)


# ---------------------------------------------------------------- the end of a run


def plc(bits: int = int(StatusBit.ONLINE)) -> Plc:
    made = Plc(Bench(), watch=Watch())
    made.outputs = Outputs(Status(bits=bits, boot_id=1, missed=2, lost=1))
    return made


def record(
    part_id: int = 12, judgement: Judgement = Judgement.NG, defects: tuple[str, ...] | None = ("missing_hole", "burr")
) -> Record:
    result = Result(3, 3, part_id, judgement, reason=103, findings=2, grab=71, infer=82, total=204)
    return Record(part_id, defects, Answer(part_id, judgement, 103, result, written=1.0, seen=1.0205))


def conclude(
    status: int | None, arguments: list[str], tmp_path: Path, *, parts: int = 1, watch: Watch | None = None
) -> int:
    made, tally = plc(), Tally()
    made.watch = watch or Watch()
    for number in range(parts):
        tally.add(record(number + 1))
    gateway = GatewayProcess(cast(Process, FakeProcess(status)), tmp_path / "log")
    return demo._conclude(made, tally, gateway, None, demo._parser().parse_args(arguments))


class FakeProcess:
    """A child that ends at SIGTERM, or only at SIGKILL."""

    def __init__(self, status: int | None = None, *, stubborn: bool = False) -> None:
        self.returncode = status
        self.signals: list[str] = []
        self._stubborn = stubborn
        self._end = asyncio.Event()

    def terminate(self) -> None:
        self.signals.append("TERM")
        if not self._stubborn:
            self._exit(0)

    def kill(self) -> None:
        self.signals.append("KILL")
        self._exit(-9)

    def _exit(self, status: int) -> None:
        self.returncode = status
        self._end.set()

    async def wait(self) -> int | None:
        await self._end.wait()
        return self.returncode


def test_the_exit_status_says_whether_all_was_well(tmp_path: Path) -> None:
    broken = Watch()
    broken.read(Status(boot_id=1, map_version=9), Result(), 1.0)
    assert conclude(0, [], tmp_path) == 0
    assert conclude(-9, [], tmp_path) == 1
    assert conclude(None, [], tmp_path) == 1
    assert conclude(0, [], tmp_path, parts=0) == 1
    assert conclude(0, [], tmp_path, watch=broken) == 1


def test_the_figures_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    conclude(0, ["--json", str(path)], tmp_path, parts=3)
    figures = json.loads(path.read_text())
    assert (figures["parts"], figures["right"], figures["missed"], figures["lost"]) == (3, 3, 2, 1)
    assert figures["response_ms"]["p50"] == 20.5
    assert figures["violations"] == {}
    assert figures["gateway_exit"] == 0


async def test_a_gateway_is_asked_to_stop() -> None:
    child = FakeProcess()
    assert await GatewayProcess(cast(Process, child), Path("log")).stop() == 0
    assert child.signals == ["TERM"]


async def test_a_gateway_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_WAIT", 0.0)
    child = FakeProcess(stubborn=True)
    assert await GatewayProcess(cast(Process, child), Path("log")).stop() == -9
    assert child.signals == ["TERM", "KILL"]


async def test_who_does_not_want_to_wait_leaves_nothing_behind() -> None:
    child = FakeProcess(stubborn=True)
    stopping = asyncio.create_task(GatewayProcess(cast(Process, child), Path("log")).stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert child.signals == ["TERM", "KILL"]


def test_the_newest_picture_of_this_run(tmp_path: Path) -> None:
    for name, age in (("a.jpg", 50), ("b.jpg", 10), ("c.jpg", 30), ("d.txt", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    assert demo.newest_picture(tmp_path, 9_900) == tmp_path / "b.jpg"
    assert demo.newest_picture(tmp_path, 9_995) is None
    assert demo.newest_picture(tmp_path / "none", 0) is None


# ---------------------------------------------------------------- what people read


def test_plain_lines_fit_80_columns() -> None:
    wrong = record(4_294_967, Judgement.FAULT)
    lines = [report.HEADER, report.answer(record()), *report.answer(wrong).splitlines()]
    lines += [*report.summary(tally_of(wrong)), *report.wire(plc()), *report.verdict(Watch())]
    assert [text for text in lines if len(text) > 80] == []


def tally_of(*records: Record) -> Tally:
    tally = Tally()
    for entry in records:
        tally.add(entry)
    return tally


def test_a_part_as_a_line() -> None:
    assert " ".join(report.answer(record()).split()) == "12 missing hole +1 NG 103 2 7.1 8.2 20.4 20.5"
    assert report.answer(record(judgement=Judgement.OK)).endswith("wrong")
    assert not report.answer(record(judgement=Judgement.RECHECK)).endswith("wrong")
    assert not report.answer(record(defects=None)).endswith("wrong")


def test_a_part_without_an_answer_says_why() -> None:
    lost = Record(3, (), Answer(3, Judgement.FAULT, Code.PLC_HEARTBEAT_LOST, failure="no answer in state idle"))
    first, second = report.answer(lost).splitlines()
    assert "none" in first
    assert "3002" in second
    assert len(second) <= 80


def test_the_live_table_holds_the_last_parts() -> None:
    out = io.StringIO()
    tally = Tally()
    live = Live(tally, Console(file=out, width=80, force_terminal=False))
    for number in range(1, 31):
        tally.add(record(number))
        live._records.append(record(number))
    live._console.print(live.picture())
    rows = [text.split() for text in out.getvalue().splitlines() if "missing hole" in text]
    assert [int(row[0]) for row in rows] == list(range(31 - ROWS, 31))
    assert "30 parts, right 30 of 30 (100.0%)" in out.getvalue()


def test_broken_rules_are_named() -> None:
    watch = Watch()
    watch.read(Status(boot_id=1, not_ready_reason=3009), None, 1.0)
    lines = report.verdict(watch)
    assert lines[0].startswith("CONTRACT BROKEN: torn")
    assert len(lines) == 2


# ---------------------------------------------------------------- command lines


@pytest.mark.parametrize(
    "arguments", [["plc", "--rude", "polite"], ["plc", "--rude", "skip", "--style", "bits"], ["plc", "--rate", "0"]]
)
def test_wrong_usage_of_the_plc(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("command", ["plc", "demo"])
def test_help_fits_and_names_every_mistake(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main([command, "--help"])
    assert stopped.value.code == 0
    assert f"--{'rude' if command == 'plc' else 'plain'}" in capsys.readouterr().out


def test_an_unknown_command_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["dance"]) == 2
    assert "plc" in capsys.readouterr().err
    assert command_line.main(["--help"]) == 0


def test_the_mirror_and_the_server_role_have_addresses_of_their_own() -> None:
    def addresses(*arguments: str) -> tuple[int, int]:
        carrier = plc_command._carrier(plc_command._parser().parse_args(arguments))
        return vars(carrier)["_status"], vars(carrier)["_command"]

    assert addresses() == (0, 0)
    assert addresses("--read", "holding") == (100, 0)
    assert addresses("--role", "server") == (100, 0)
    assert addresses("--role", "server", "--status-address", "500", "--command-address", "7") == (500, 7)
