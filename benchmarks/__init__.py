"""Benchmarks: each module has `run(quick) -> dict` and names what it compares with in the same run."""
