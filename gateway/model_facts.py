"""What a model file says of itself, asked of a process that may die of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import trial
from gateway.trial import ModelError

__all__ = ["ModelError", "ask"]

MEMORY_MB = 2048
PATIENCE = 60.0
MODULE = "gateway.vision.model_facts"


def ask(path: Path, memory_mb: int = MEMORY_MB, patience: float = PATIENCE) -> Mapping[str, Any]:
    """Size, SHA-256, opsets, inputs, outputs, metadata, labels, task, providers; ModelError."""
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file; check the path")
    facts = trial.ask(MODULE, [str(path.resolve()), str(memory_mb)], str(path), patience)
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    return {"file": str(path), "bytes": len(model), "sha256": hashlib.sha256(model).hexdigest(), **facts}
