"""What holds for the project as a whole: its version, its files, what they must not say."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAME = "vision-plc-gateway"

MOST_LINES = 500

# Taken apart, so that this file does not hold what it looks for.
PRIVATE = re.compile(
    "|".join(
        (
            "/wo" + "rk/(?:main|shared)",
            "/ho" + r"me/\w",
            "/ro" + r"ot/\w",
            "/Us" + r"ers/\w",
            "/op" + "t/(?:pypi|wheels)",
            r"file:" + "//",
            r"--(?:extra-)?index" + "-url",
            r"--find" + r"-links|--trusted" + "-host",
            r"https?://[^\s\"']*/sim" + "ple\\b",
            r"\bfiles\.pythonho" + "sted|" + r"\btest\.pypi\b",
        )
    )
)


def tracked_files() -> list[Path]:
    """Return the files of the checkout that git tracks or would track; skip where there is no git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="module")
def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_installed_version_is_the_checkout_s(project: dict[str, Any]) -> None:
    assert project["name"] == NAME
    assert metadata.version(NAME) == project["version"], "run make venv"


def test_the_changelog_knows_the_version_or_has_it_unreleased(project: dict[str, Any]) -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [project["version"]])


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture or a network
            continue
        found += [f"{path.relative_to(ROOT)}:{n}: {line}" for n, line in enumerate(lines, 1) if PRIVATE.search(line)]
    assert found == []


def test_no_module_is_longer_than_one_can_keep_in_mind() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_bytes().splitlines()) for p in tracked_files() if p.suffix == ".py"}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def pins(name: str) -> list[str]:
    """The requirements of a lock file, each with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return [pin for pin in re.split(r"\n(?=\w)", text) if not pin.startswith("#")]


def test_every_requirement_is_pinned_with_a_hash() -> None:
    for name in ("runtime", "dev", "extras", "train"):
        assert pins(name)
        assert [pin for pin in pins(name) if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_optional_packages_change_nothing_of_what_the_tests_run_with() -> None:
    ours, extras = ({pin.split(" ")[0] for pin in pins(name)} for name in ("dev", "extras"))
    assert ours < extras
    assert any(pin.startswith("openvino==") for pin in extras)


def test_the_control_process_loads_nothing_native_or_heavy() -> None:
    heavy = ["asyncua", "cv2", "fastapi", "numpy", "onnxruntime"]
    told = f"import sys, gateway.app; print(*sorted(sys.modules.keys() & set({heavy})))"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)
    assert ran.stdout.split() == []


def test_a_gateway_that_carries_nothing_loads_nothing_of_it() -> None:
    carried = ["gateway.board", "gateway.carriers", "gateway.opcua.wire", "gateway.seating", "protocols.station_view"]
    told = (
        "import sys; from pathlib import Path; from gateway import app, config\n"
        "loaded = config.read(Path('configs/demo.yaml'))\n"
        "assert app._carriers(loaded, 1, print) is None\n"
        f"print(*sorted(sys.modules.keys() & set({[*carried, 'protocols.seats', 'protocols.shared_role']})))"
    )
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True, cwd=ROOT)
    assert ran.stdout.split() == []
