"""What a model file says of itself, as JSON: a process of its own, as a model may crash, hang or eat memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import child


def main(arguments: list[str]) -> None:
    """FILE, MEMORY_MB, PARENT: print what is known of the model, or {"error": sentence}."""
    file, memory, parent = arguments
    child.die_with(int(parent))
    child.limit_memory(int(memory))
    from gateway.vision.engines import EngineError

    try:
        facts = _facts(Path(file).read_bytes())
    except EngineError as error:
        facts = {"error": error.text, "code": int(error.code)}
    except MemoryError:
        facts = {"error": f"it needs more than {memory} MB of memory"}
    sys.stdout.write(json.dumps(facts))


def _facts(model: bytes) -> dict[str, Any]:
    from gateway.vision.engines import ort, providers
    from gateway.vision.engines.onnx_file import opsets

    inputs, outputs, metadata = ort.interface(model)
    return {
        "opsets": opsets(model),
        "inputs": [{"name": name, "type": kind, "shape": list(shape)} for name, kind, shape in inputs],
        "outputs": [{"name": name, "type": kind, "shape": list(shape)} for name, kind, shape in outputs],
        "metadata": {key: value[:500] for key, value in sorted(metadata.items())[:40]},
        "labels": _labels(metadata),
        "task": _task(outputs, metadata),
        "providers": list(providers.BUILT_IN),
    }


def _labels(metadata: Mapping[str, str]) -> list[str]:
    from gateway.vision.tasks import TaskError
    from gateway.vision.tasks.labels import labels_of

    try:
        return list(labels_of(metadata))
    except TaskError:
        return []


def _task(outputs: list[Any], metadata: Mapping[str, str]) -> dict[str, str]:
    """Kind and format as the model tells them; without the format why it does not."""
    import numpy as np

    from gateway.vision.engines import EngineInfo
    from gateway.vision.tasks import TaskError, anomaly, family

    shapes = {name: tuple(size if isinstance(size, int) else -1 for size in shape) for name, _, shape in outputs}
    if {anomaly.SCORE, anomaly.MAP} & set(shapes):
        return {"kind": "anomaly"}
    try:
        picture = np.zeros((1, 1, 3), np.uint8)
        kind, form = family.told(EngineInfo("", picture, shapes, metadata))
        return {"kind": kind, "format": form}
    except TaskError as error:
        return {"why": error.text}


if __name__ == "__main__":
    main(sys.argv[1:])
