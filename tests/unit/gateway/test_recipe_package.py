"""Recipes as ZIP files: what is packed comes back, and what would harm is refused before anything is written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway import recipe as recipes
from gateway import recipe_package as packages
from gateway.recipe_package import MANIFEST, Package, PackageError, pack
from gateway.vision import proof

MODEL = b"a model"
RECIPE = f"""\
recipe: part
number: 1
model: {{file: model.onnx, sha256: {hashlib.sha256(MODEL).hexdigest()}}}
task: {{kind: detect, format: end2end}}
rules: [{{name: bad, when: {{any: true, min_score: 0.5}}, verdict: NG, code: 1}}]
"""
FILES: dict[str, bytes] = {"recipe.yaml": RECIPE.encode(), "model.onnx": MODEL, "reference/good.png": b"a picture"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "part"
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "into"
    place.mkdir()
    return place


def archive(path: Path, files: Mapping[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            if change is not None and name not in FILES:
                change(info)
            out.writestr(info, content)
    return path


def refusal(path: Path) -> str:
    """Why it is refused; a package that is refused was never given a place to write to."""
    with pytest.raises(PackageError) as caught:
        Package(path).close()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def unpacked(path: Path, target: Path) -> dict[str, bytes]:
    package = Package(path)
    try:
        package.unpack(target)
    finally:
        package.close()
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}


# ---------------------------------------------------------------- there and back


def test_what_is_packed_comes_back(folder: Path, target: Path, tmp_path: Path) -> None:
    assert pack(folder, tmp_path / "part.zip") == 3
    assert unpacked(tmp_path / "part.zip", target) == FILES
    recipes.verify(recipes.load(target))


def test_that_an_engine_was_compared_elsewhere_is_not_believed(folder: Path, target: Path, tmp_path: Path) -> None:
    (folder / proof.FILE).write_text("{}")
    assert pack(folder, tmp_path / "part.zip") == 3
    assert unpacked(archive(tmp_path / "made.zip", FILES | {proof.FILE: b"{}"}), target) == FILES


def test_the_same_content_is_the_same_file(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.zip")
    os.utime(folder / "model.onnx", (1, 1))
    (folder / "model.onnx").chmod(0o600)
    (folder / ".hidden").write_text("left out")
    pack(folder, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_is_packed_names_the_hash_of_every_file(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "part.zip")
    with zipfile.ZipFile(tmp_path / "part.zip") as out:
        named = json.loads(out.read(MANIFEST))["files"]
    assert named == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def test_a_file_that_is_there_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "part.zip").write_text("mine")
    with pytest.raises(PackageError, match="already"):
        pack(folder, tmp_path / "part.zip")
    assert (tmp_path / "part.zip").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "part.zip"]


def test_a_folder_in_the_archive_is_the_recipe(target: Path, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {f"bracket/{name}": content for name, content in FILES.items()})
    package = Package(path)
    assert package.name == "bracket"
    package.close()
    assert unpacked(path, target) == FILES


def test_a_folder_is_taken_like_an_archive(folder: Path, target: Path) -> None:
    assert unpacked(folder, target) == FILES


# ---------------------------------------------------------------- row I-11


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/etc/evil.txt",
        "..\\evil.txt",
        "C:/evil.txt",
        "C:\\evil.txt",
        "a//evil.txt",
        "./evil.txt",
        "evil.txt\0.png",
        "evil\n.txt",
        ".bashrc",
        "evil.txt ",
        "a/b/c/d/e/f/evil.txt",
        "x" * 300 + ".txt",
        "\u202etxt.exe",
    ],
)
def test_i11_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    told = refusal(archive(tmp_path / "x.zip", {**FILES, name: b"evil"}))
    assert "does not stay in the recipe folder" in told or "odd name" in told or "deeper" in told


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_i11_a_link_or_device_is_refused(kind: int, tmp_path: Path) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16

    assert "is a link or a device" in refusal(archive(tmp_path / "x.zip", {**FILES, "a.txt": b"/etc/passwd"}, change))


@pytest.mark.parametrize("name", ["evil.exe", "evil.so", "inner.zip", "evil.py", "evil"])
def test_i11_what_is_no_file_of_a_recipe_is_refused(name: str, tmp_path: Path) -> None:
    assert "is no file of a recipe" in refusal(archive(tmp_path / "x.zip", {**FILES, name: b"x"}))


def test_i11_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", FILES)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as out:
        warnings.simplefilter("ignore")
        out.writestr("model.onnx", b"another")
    assert "is in it twice" in refusal(path)
    assert "is in it twice" in refusal(archive(tmp_path / "y.zip", {**FILES, "Model.ONNX": b"another"}))
    assert "is in it twice" in refusal(archive(tmp_path / "z.zip", {**FILES, "a.txt": b"", "a.txt/b.txt": b""}))


def test_i11_a_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    assert "times its size" in refusal(archive(tmp_path / "x.zip", {**FILES, "big.txt": bytes(2**24)}))


def test_i11_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_BYTES", 1000)
    assert "unpacks to more than" in refusal(archive(tmp_path / "x.zip", {**FILES, "a.txt": os.urandom(1000)}))


def test_i11_too_many_files_are_refused_at_once(tmp_path: Path) -> None:
    many = {f"a{n}.txt": b"" for n in range(packages.MAX_FILES + 1)}
    assert f"at most {packages.MAX_FILES}" in refusal(archive(tmp_path / "x.zip", FILES | many))


def test_i11_a_million_files_are_not_even_listed(tmp_path: Path) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 1_000_000
    for files, locator in ((0xFFFF, b""), (0xFFFF, struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)), (3, b"")):
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, files, files, len(directory), 0, 0)
        path = tmp_path / f"{files}{len(locator)}.zip"
        path.write_bytes(directory + locator + end)
        began = time.process_time()
        assert "at most" in refusal(path)
        assert time.process_time() - began < 1


def test_i11_a_directory_elsewhere_is_not_looked_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", FILES)
    path.write_bytes(path.read_bytes() + b"PK, and more behind the end")
    assert "something behind its end" in refusal(path)
    (tmp_path / "y.zip").write_bytes(b"")
    assert "is no ZIP file" in refusal(tmp_path / "y.zip")


def test_i11_a_password_or_a_rare_method_is_refused(tmp_path: Path) -> None:
    raw = archive(tmp_path / "x.zip", FILES).read_bytes()
    at = raw.index(b"PK\1\2")
    for offset, value, told in ((8, 1, "is encrypted"), (10, 14, "rare method")):
        changed = bytearray(raw)
        changed[at + offset] = value
        (tmp_path / "y.zip").write_bytes(changed)
        assert told in refusal(tmp_path / "y.zip")


def test_i11_a_size_that_is_a_lie_ends_the_unpacking(target: Path, tmp_path: Path) -> None:
    raw = bytearray(archive(tmp_path / "x.zip", {"recipe.yaml": b"x", "a.txt": bytes(1000)}).read_bytes())
    at = raw.rindex(b"PK\1\2")
    raw[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(raw)
    package = Package(tmp_path / "x.zip")
    with pytest.raises(PackageError, match=r"a\.txt"):
        package.unpack(target)
    package.close()


def test_i11_one_changed_byte_is_seen(folder: Path, target: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "x.zip")
    raw = bytearray((tmp_path / "x.zip").read_bytes())
    raw[raw.index(MODEL)] ^= 1
    (tmp_path / "x.zip").write_bytes(raw)
    package = Package(tmp_path / "x.zip")
    with pytest.raises(PackageError, match=r"model\.onnx' is damaged"):
        package.unpack(target)
    package.close()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"recipe.yaml": "0" * 64, "model.onnx": "", "reference/good.png": ""}, "is not the file that was packed"),
        ({"recipe.yaml": "", "model.onnx": ""}, "'reference/good.png' is not both"),
        (dict.fromkeys((*FILES, "more.txt"), ""), "'more.txt' is not both"),
    ],
)
def test_i11_the_manifest_holds(named: dict[str, str], told: str, target: Path, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {**FILES, MANIFEST: json.dumps({"files": named}).encode()})
    with pytest.raises(PackageError, match=told):
        unpacked(path, target)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"files": [1]}', b'{"files": {"a": 1}}', b"[" * 100_000])
def test_i11_a_manifest_that_is_none_is_told(text: bytes, tmp_path: Path) -> None:
    assert "manifest.json cannot be read" in refusal(archive(tmp_path / "x.zip", {**FILES, MANIFEST: text}))


def test_i11_what_holds_no_recipe_is_told(tmp_path: Path) -> None:
    assert "holds no recipe.yaml" in refusal(archive(tmp_path / "x.zip", {"a/model.onnx": b"", "b/recipe.yaml": b""}))


def test_i11_a_link_in_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").symlink_to("/etc/passwd")
    assert "is a link or a device" in refusal(folder)
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    assert "is a link or a device" in refusal(folder)
    assert "cannot be read" in refusal(tmp_path / "none.zip")


def test_i11_a_folder_without_end_is_refused(folder: Path) -> None:
    for number in range(packages.MAX_FILES):
        (folder / f"{number}.txt").touch()
    assert f"more than {packages.MAX_FILES} files" in refusal(folder)
    deep = folder / "a" / "b" / "c" / "d" / "e"
    deep.mkdir(parents=True)
    (deep / "a.txt").touch()
    assert "lies deeper" in refusal(folder)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(2695, 2)], 0)  # the central directory moves: a member would lie before the file's begin
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 60))
def test_i11_whatever_comes_is_an_answer(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    """Flipped bytes anywhere, and a cut: a package or a PackageError, and no file outside the place given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in FILES.items():
            out.writestr(name, content)
    raw = bytearray(buffer.getvalue())
    for at, value in flips:
        raw[at % len(raw)] = value
    path, place = tmp_path / "x.zip", tmp_path / "into"
    path.write_bytes(raw[: len(raw) - cut if cut > 40 else None])
    place.mkdir(exist_ok=True)
    try:
        for name in unpacked(path, place):
            (place / name).unlink()
    except PackageError:
        for file in place.rglob("*"):
            if file.is_file():
                file.unlink()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["into", "x.zip"]


# ---------------------------------------------------------------- row I-12


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "aliases are not used here"),
        ("recipe: !!python/object/apply:os.system ['id']\n", "tags are not used here"),
        ("a: " + "[" * 5000, "nested deeper than"),
        ("a:\n" + "".join(f"{' ' * n}b:\n" for n in range(1, 500)), "nested deeper than"),
        ("rules: [" + "1, " * 20_000 + "]", "more than 10000 values"),
        ("recipe: " + "x" * 2**21, "is larger than 1024 KiB"),
        ("recipe: 1\nrecipe: 2\n", "is given twice"),
        ("<<: {a: 1}\n", "merge keys"),
    ],
    ids=["billion laughs", "tag", "brackets", "indents", "values", "bytes", "twice", "merge"],
)
def test_i12_a_hostile_recipe_file_is_refused_in_time(text: str, told: str, folder: Path) -> None:
    (folder / "recipe.yaml").write_text(text)
    began = time.process_time()
    with pytest.raises(recipes.RecipeError, match=told) as caught:
        recipes.load(folder)
    assert time.process_time() - began < 1
    assert caught.value.code == 7001
