"""From a trained detector to one ONNX file that needs no further words."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from simulators.parts import LABELS
from simulators.training.net import Detector, EndToEnd

OPSET = 18


def export(detector: Detector, path: Path, size: tuple[int, int], notes: dict[str, str]) -> None:
    """Write the detector as `path` for pictures of (width, height); `notes` join the file's metadata."""
    ready = copy.deepcopy(detector).cpu().float().eval()
    _fold(ready)
    with torch.no_grad():
        ready.stem[0][0].weight.div_(255.0)  # bytes in, so no pass over the picture for it
    write(EndToEnd(ready), path, size, "detections", _metadata() | notes)


def write(network: nn.Module, path: Path, size: tuple[int, int], output: str, metadata: dict[str, str]) -> None:
    """Write a network that takes one picture of (width, height), uint8 [1, h, w, 3] BGR, as `path`."""
    picture = torch.zeros(1, size[1], size[0], 3, dtype=torch.uint8)
    program = torch.onnx.export(
        network.eval(),
        (picture,),
        input_names=["image"],
        output_names=[output],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, {"input_layout": "nhwc", "input_color": "bgr"} | metadata)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _metadata() -> dict[str, str]:
    return {
        "task": "detect",
        "format": "end2end",
        "names": json.dumps({str(index): name for index, name in enumerate(LABELS)}),
        "author": "the gateway project",
        "license": "Apache-2.0",
        "description": "Finds scratches, burrs and missing holes on the rendered demo bracket; no use on real parts.",
    }


def _fold(module: nn.Module) -> None:
    """Merge each batch norm into the convolution before it, for inference."""
    for child in module.modules():
        if isinstance(child, nn.Sequential) and len(child) == 3 and isinstance(child[1], nn.BatchNorm2d):
            child[0] = fuse_conv_bn_eval(child[0], child[1])
            child[1] = nn.Identity()


def _strip(model: onnx.ModelProto) -> None:
    """Take out what the exporter notes of its own source lines and of this machine's paths."""
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
