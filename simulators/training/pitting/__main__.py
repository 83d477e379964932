"""`python -m simulators.training.pitting PICTURES --out DIR`: train the recipe `pitting` anew."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from simulators.training.pitting.train import train


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training.pitting", description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder of BSData with its manifest.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(wanted.pictures, wanted.out, wanted.seed, wanted.steps)


if __name__ == "__main__":
    main()
