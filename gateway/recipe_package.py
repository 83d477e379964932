"""A recipe as one ZIP file, to be carried from plant to plant. What comes from outside is not trusted.

Everything is decided by the archive's directory before anything is written: names that lead elsewhere, links, doubles,
bombs and archives within archives are refused there (Info-ZIP's APPNOTE 6.3.10 §4.3 is the format).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from gateway.recipe import FILE

MANIFEST = "manifest.json"
"""SHA-256 of every file of an exported recipe, by name."""
STAY = frozenset({MANIFEST, "engines.json"})
"""What does not become part of an imported recipe: that an engine was compared is believed of this computer only."""
MAX_FILES = 500
MAX_BYTES = 2 * 2**30
MAX_RATIO = 200
"""A file that unpacks to more than this many times its size, and to more than HARMLESS bytes, was made to harm."""
HARMLESS = 2**20
MAX_DIRECTORY = 2**20
"""Bytes of the archive's directory; some 2000 for each hundred files."""
MAX_DEPTH = 4
KINDS = frozenset({".yaml", ".yml", ".json", ".onnx", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".md", ".txt"})
"""Of what files a recipe may consist; everything else is refused, and so are archives in archives."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}(?<![. ])")
_END = struct.Struct("<4s4H2LH")
_BLOCK = 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
"""What zipfile raises for an archive that is none, and zlib for a file that is none."""
_WHEN = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """A package that is not taken, or cannot be made: one sentence with place, cause and remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a package: its name inside the recipe folder and its size."""

    name: str
    size: int


class Package:
    """A ZIP file or a folder whose names have been found harmless; nothing is unpacked yet. Close it after use."""

    def __init__(self, path: Path) -> None:
        """PackageError for what is refused."""
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._sources: dict[str, str] = {}
        try:
            sizes = dict(islice(_walk(path), MAX_FILES + 1)) if path.is_dir() else self._directory()
        except OSError as error:
            raise PackageError(f"{path} cannot be read ({error.strerror}); check path and permissions") from None
        top = _top(sizes)
        self.name = top.rstrip("/") or path.stem
        self._sources = {name.removeprefix(top): name for name in sizes}
        self.entries = tuple(Entry(name, sizes[source]) for name, source in sorted(self._sources.items()))
        self._fitting()

    def close(self) -> None:
        """Let go of the file."""
        if self._zip is not None:
            self._zip.close()

    def unpack(self, into: Path) -> None:
        """Write all files into the empty folder `into`; PackageError if one is not what the directory said of it."""
        for entry in self.entries:
            if entry.name in STAY:
                continue
            target = into / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = self._copy(entry, target)
            if self._hashes.get(entry.name, digest) != digest:
                raise self._refusal(f"{entry.name!r} is not the file that was packed (its SHA-256 differs)")

    def _copy(self, entry: Entry, target: Path) -> str:
        digest, left = hashlib.sha256(), entry.size
        try:
            with self._open(entry.name) as source, target.open("xb") as out:
                while block := source.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise self._refusal(f"{entry.name!r} is larger than it says; it was made to harm")
                    digest.update(block)
                    out.write(block)
        except _BROKEN as error:
            raise self._refusal(f"{entry.name!r} is damaged ({error}); have it sent again") from None
        if left:
            raise self._refusal(f"{entry.name!r} is shorter than it says; have it sent again")
        return digest.hexdigest()

    def _open(self, name: str) -> BinaryIO:
        source = self._sources[name]
        if self._zip is not None:
            try:
                return self._zip.open(source)  # type: ignore[return-value]
            except OSError as error:  # the directory names a place before the file's begin
                raise zipfile.BadZipFile(error.strerror) from None
        return os.fdopen(os.open(self.path / source, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    # ------------------------------------------------------------ what is looked at before anything is written

    def _directory(self) -> dict[str, int]:
        self._end_is_plain()
        try:
            self._zip = zipfile.ZipFile(self.path)
        except _BROKEN as error:
            raise self._refusal(f"is no usable ZIP file ({error})") from None
        infos = self._zip.infolist()
        sizes: dict[str, int] = {}
        for info in infos:
            if wrong := _harm(info):
                self._zip.close()
                raise self._refusal(f"{info.orig_filename[:100]!r} {wrong}")
            if info.is_dir():
                continue
            if info.filename in sizes:
                self._zip.close()
                raise self._refusal(f"{info.filename!r} is in it twice; nobody knows which one is meant")
            sizes[info.filename] = info.file_size
        return sizes

    def _end_is_plain(self) -> None:
        """The end record says how long the directory is; zipfile would read a directory of gigabytes as well."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END.size - 20))
            tail = file.read(_END.size + 20)
        end = tail[-_END.size :]
        if len(end) < _END.size or not end.startswith(b"PK\5\6"):
            raise self._refusal("is no ZIP file, or has something behind its end; pack the folder again")
        _, _, _, _, files, length, _, _ = _END.unpack(end)
        if files > MAX_FILES or length > MAX_DIRECTORY or tail[:4] == b"PK\6\7":
            raise self._refusal(f"says that it holds {files} files; at most {MAX_FILES} are a recipe")

    def _fitting(self) -> None:
        names = [entry.name for entry in self.entries]
        if len(names) > MAX_FILES:
            raise self._refusal(f"holds more than {MAX_FILES} files; that is no recipe")
        if sum(entry.size for entry in self.entries) > MAX_BYTES:
            raise self._refusal(f"unpacks to more than {MAX_BYTES // 2**30} GiB; that is no recipe")
        for name in names:
            if wrong := _odd(name):
                raise self._refusal(f"{name[:100]!r} {wrong}")
        folded = [name.lower() for name in names]
        parents = {parent for name in folded for parent in _parents(name)}
        for name in folded:
            if folded.count(name) > 1 or name in parents:
                raise self._refusal(f"{name!r} is in it twice; nobody knows which one is meant")
        if FILE not in names:
            raise self._refusal(f"holds no {FILE}, neither at its top nor in its only folder; it is no recipe")
        self._hashes = self._manifest() if MANIFEST in names else {}
        missing = sorted(self._hashes.keys() ^ (set(names) - {MANIFEST})) if MANIFEST in names else []
        if missing:
            raise self._refusal(f"{missing[0]!r} is not both in it and in its {MANIFEST}; have it sent again")

    def _manifest(self) -> Mapping[str, str]:
        try:
            with self._open(MANIFEST) as file:
                hashes = json.loads(file.read(_BLOCK))["files"]
            if isinstance(hashes, dict) and all(isinstance(value, str) for value in hashes.values()):
                return hashes
        except (KeyError, TypeError, RecursionError, *_BROKEN):
            pass
        raise self._refusal(f"its {MANIFEST} cannot be read; have it sent again")

    def _refusal(self, what: str) -> PackageError:
        return PackageError(f"{self.path}: {what}")


def pack(folder: Path, out: Path) -> int:
    """Write the recipe folder as a ZIP file, the same bytes for the same content; how many files. PackageError."""
    package = Package(folder)
    files = [entry.name for entry in package.entries if entry.name not in STAY]
    new = out.with_name(f".{out.name}.new")
    try:
        if out.exists():
            raise PackageError(f"{out} is there already; name a file that is not")
        with zipfile.ZipFile(new, "w") as archive:
            hashes = {name: _stored(archive, name, folder / name) for name in files}
            text = json.dumps({"files": hashes}, indent=2, sort_keys=True) + "\n"
            archive.writestr(_info(MANIFEST), text)
        new.replace(out)
    except OSError as error:
        raise PackageError(f"{out} cannot be written ({error.strerror}); name another place") from None
    finally:
        new.unlink(missing_ok=True)
    return len(files)


def _stored(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    """Not deflated: networks hardly shrink, and zlib's releases differ in their output."""
    content = path.read_bytes()
    archive.writestr(_info(name), content)
    return hashlib.sha256(content).hexdigest()


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _WHEN)
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _walk(folder: Path, inside: str = "") -> Iterator[tuple[str, int]]:
    """The files below a folder and their sizes; hidden ones are left out. PackageError for links and devices."""
    with os.scandir(folder / inside) as found:
        for item in sorted(islice(found, 2 * MAX_FILES), key=lambda item: item.name):
            name = f"{inside}{item.name}"
            if name.count("/") > MAX_DEPTH:
                raise PackageError(f"{folder / name} lies deeper than {MAX_DEPTH} folders; that is no recipe")
            if item.name.startswith("."):
                continue
            if item.is_dir(follow_symlinks=False):
                yield from _walk(folder, f"{name}/")
            elif item.is_file(follow_symlinks=False):
                yield name, item.stat(follow_symlinks=False).st_size
            else:
                raise PackageError(f"{folder / name} is a link or a device; put the file itself there")


def _harm(info: zipfile.ZipInfo) -> str:
    """What is wrong with an entry of the directory, or nothing."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    ratio = info.file_size / max(1, info.compress_size)
    if wrong := _astray(info.orig_filename):
        return wrong
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device; pack the file itself"
    if info.flag_bits & 1:
        return "is encrypted; pack it without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed by a rare method; pack it as ZIP does by default"
    if info.file_size > HARMLESS and ratio > MAX_RATIO:
        return f"unpacks to {ratio:.0f} times its size; it was made to harm"
    return ""


def _astray(name: str) -> str:
    """Why a name leads out of the folder or means another thing elsewhere, or nothing."""
    parts = name.removesuffix("/").split("/")
    if name.startswith("/") or "\\" in name or ":" in name or "\0" in name or ".." in parts:
        return "does not stay in the recipe folder; pack the folder itself"
    if not all(_NAME.fullmatch(part) for part in parts):
        return "is an odd name; use letters, digits, blank, _ . + and - (a file that begins with a dot is not packed)"
    return "" if len(parts) <= MAX_DEPTH + 1 else f"lies deeper than {MAX_DEPTH} folders"


def _odd(name: str) -> str:
    if wrong := _astray(name):
        return wrong
    if Path(name).suffix.lower() not in KINDS:
        return f"is no file of a recipe; those end in {', '.join(sorted(KINDS))}"
    return ""


def _top(names: Mapping[str, int]) -> str:
    """`folder/` where all lies in one, else nothing."""
    if FILE in names:
        return ""
    tops = {name.split("/", 1)[0] for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts)))


def fitting_name(name: str) -> str:
    """`name` as that of a recipe folder; PackageError where it is none."""
    if not _NAME.fullmatch(name):
        raise PackageError(f"{name[:100]!r} is no name for a folder; use letters, digits, blank, _ . + and -")
    return name
