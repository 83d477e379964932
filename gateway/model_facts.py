"""What a model file says of itself, asked of a process that may die of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.launch import COMMAND, environment

MEMORY_MB = 2048
PATIENCE = 60.0
MODULE = "gateway.vision.model_facts"


class ModelError(Exception):
    """A model that cannot be used: one sentence with place, cause and remedy."""


def ask(path: Path, memory_mb: int = MEMORY_MB, patience: float = PATIENCE) -> Mapping[str, Any]:
    """Size, SHA-256, opsets, inputs, outputs, metadata, labels, task, providers; ModelError."""
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file; check the path")
    try:
        done = subprocess.run(
            [*COMMAND, MODULE, str(path.resolve()), str(memory_mb), str(os.getpid())],
            capture_output=True,
            timeout=patience,
            env=environment(),
            check=False,
        )
        model = path.read_bytes()
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{path}: the model was not loaded within {patience:g} s; it may have been built to harm"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    facts: dict[str, Any] = {}
    if done.returncode == 0 and done.stdout:
        facts = json.loads(done.stdout)
    else:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ModelError(f"{path}: the model killed the process that loaded it ({words[0][:200]}); do not use it")
    if refusal := facts.get("error"):
        raise ModelError(f"{path}: {refusal}")
    return {"file": str(path), "bytes": len(model), "sha256": hashlib.sha256(model).hexdigest(), **facts}
