import pytest

from simulators import plc_command
from simulators.serial_master import RtuMaster


def test_a_device_makes_the_plc_a_master_of_a_serial_line() -> None:
    options = plc_command._parser().parse_args(["--device", "/dev/ttyUSB0", "--baud", "9600", "--unit", "3"])
    carrier = plc_command._carrier(options)
    assert isinstance(carrier, RtuMaster)
    assert carrier.name == "gateway at /dev/ttyUSB0, unit 3"


def test_a_serial_line_has_one_master(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plc_command.main(["--device", "/dev/ttyUSB0", "--role", "server"])
    assert "leave out --role server" in capsys.readouterr().err
