"""`python -m simulators.training --out DIR`: train the demo model anew."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from simulators.training.train import train


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=5)
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(wanted.out, wanted.seed, wanted.pictures, wanted.epochs)


if __name__ == "__main__":
    main()
