#!/usr/bin/env python3
"""Prints what criterion measured last as a Markdown table: `make bench` ends with it.

Spread is the 5th to the 95th percentile of criterion's samples (the means of many runs each where a run is short).
Speech has its real-time factor too: computing time / audio time.
"""

import json
import pathlib
import statistics
import sys


def shown(nanoseconds):
    for limit, unit in ((1e3, "ns"), (1e6, "µs"), (1e9, "ms")):
        if nanoseconds < limit:
            return f"{nanoseconds / limit * 1e3:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def row(folder):
    about = json.loads((folder / "benchmark.json").read_text())
    sample = json.loads((folder / "sample.json").read_text())
    runs = sorted(time / count for time, count in zip(sample["times"], sample["iters"]))
    median = statistics.median(runs)
    low, high = (runs[round(part * (len(runs) - 1))] for part in (0.05, 0.95))
    audio = (about.get("throughput") or {}).get("Elements")
    factor = f"{median / 1e6 / audio:.3f}" if audio else ""
    return about["full_id"], f"| {about['full_id']} | {shown(median)} | {shown(low)} – {shown(high)} | {factor} |"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target") / "criterion"
    rows = sorted(row(file.parent) for file in root.glob("**/new/benchmark.json"))
    if not rows:
        sys.exit(f"no measurements in {root}; run: make bench")
    print("| bench | median | p5 – p95 | RTF |\n|---|---|---|---|")
    print("\n".join(line for _, line in rows))


if __name__ == "__main__":
    main()
