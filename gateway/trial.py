"""A model is tried in a process that may die of it: asked once, answered by one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from gateway.launch import COMMAND, environment


class ModelError(Exception):
    """A model that cannot be used: one sentence with place, cause and remedy."""


def ask(module: str, arguments: Sequence[str], what: str, patience: float) -> dict[str, Any]:
    """What the module's process answers; ModelError, which names `what`, if it dies, hangs or says an error."""
    try:
        done = subprocess.run(
            [*COMMAND, module, *arguments, str(os.getpid())],
            capture_output=True,
            timeout=patience,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{what}: no answer within {patience:g} s; the model may have been built to harm") from None
    except OSError as error:
        raise ModelError(f"{what}: no process can be started ({error.strerror})") from None
    if done.returncode != 0 or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ModelError(f"{what}: the model killed the process that loaded it ({words[0][:200]}); do not use it")
    answer: dict[str, Any] = json.loads(done.stdout)
    if refusal := answer.get("error"):
        raise ModelError(f"{what}: {refusal}")
    return answer
