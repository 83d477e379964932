"""The record that a network gives the same on another engine as on the reference: written by a comparison, asked for
at every load. Light: both processes import it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from gateway.vision.engine_settings import EngineConfig, OpenVinoConfig

FILE = "engines.json"
MAX_BYTES = 2**20
REFERENCE = "onnxruntime", "CPUExecutionProvider"
"""Engine and provider that all others are compared with."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What runs a network: a record holds for just this."""

    engine: str
    """Name and version."""
    provider: str
    precision: str
    device: str

    @property
    def reference(self) -> bool:
        """Whether it is what others are compared with."""
        return (self.engine.partition(" ")[0], self.provider) == REFERENCE

    def __str__(self) -> str:
        """In words."""
        return f"{self.engine} ({self.provider}, {self.precision}, {self.device})"


@dataclass(frozen=True, slots=True)
class Proof:
    """One comparison that was passed; box in pixels of the frame."""

    models: tuple[str, ...]
    """SHA-256 of each network."""
    runs: Runs
    pictures: int
    findings: int
    score: float
    """The largest difference of a score, of a box (or any of its corners), and what was allowed."""
    box: float
    most_score: float
    most_box: float
    when: str

    @property
    def passed(self) -> bool:
        """Whether its own figures say so."""
        return self.pictures > 0 < self.findings and self.score <= self.most_score and self.box <= self.most_box


def proven(folder: Path, sha256: str, runs: Runs) -> bool:
    """Whether a comparison of this network on this engine was passed, or none is needed."""
    return runs.reference or any(
        sha256 in proof.models and proof.runs == runs and proof.passed for proof in read(folder)
    )


def read(folder: Path) -> list[Proof]:
    """The records of a recipe folder; what cannot be read is none."""
    try:
        with (folder / FILE).open("rb") as file:
            rows = json.loads(file.read(MAX_BYTES))["comparisons"]
        return [_proof(row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _proof(row: Mapping[str, Any]) -> Proof:
    values = {field.name: row[field.name] for field in fields(Proof)}
    return Proof(**{**values, "models": tuple(row["models"]), "runs": Runs(**row["runs"])})


def forget(folder: Path, models: tuple[str, ...], runs: Runs) -> None:
    """Remove the record of these networks on this engine; OSError."""
    known = read(folder)
    left = [proof for proof in known if (proof.models, proof.runs) != (models, runs)]
    if len(left) < len(known):
        _write(folder, left)


def write(folder: Path, proof: Proof) -> None:
    """Add a record; OSError."""
    _write(folder, [*read(folder), proof])


def _write(folder: Path, proofs: Sequence[Proof]) -> None:
    text = json.dumps({"comparisons": [asdict(proof) for proof in proofs]}, indent=2, ensure_ascii=False)
    new = folder / f".{FILE}.new"
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(folder / FILE)


def options(config: EngineConfig) -> Sequence[str]:
    """The engine as `gateway model compare` is told of it."""
    wished = config.devices if isinstance(config, OpenVinoConfig) else config.providers
    told = ["--engine", config.kind, "--on", ",".join(wished)]
    if isinstance(config, OpenVinoConfig) and config.precision != "f32":
        told += ["--precision", config.precision]
    return told
