"""Real pictures for tests, where a checkout has them beside it; the tests that want them are skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def real_pictures(limit: int = 20) -> list[Path]:
    """Some photographs of machine parts, or the calling test is skipped."""
    found = sorted(path for path in _FOLDER.rglob("*.jpg")) if _FOLDER.is_dir() else []
    if not found:
        pytest.skip("no real pictures beside this checkout")
    return found[:: max(1, len(found) // limit)][:limit]


def real(name: str) -> Path:
    """A whole set of real pictures, or the calling test is skipped."""
    folder = _FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"no pictures of {name} beside this checkout")
    return folder
