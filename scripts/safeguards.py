#!/usr/bin/env python3
"""Runs what docs/compliance/safeguards.md says shows each safeguard: every row must have a command, and each must succeed and run something.

Scripts that scripts/test.sh runs as steps of its own are not run again.
"""

import re
import subprocess
import sys
from pathlib import Path

TABLE = Path("docs/compliance/safeguards.md")
STEPS = Path("scripts/test.sh").read_text()


def main() -> int:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("|") and "164." in line or "U.S.C." in line]
    if len(rows) < 20:
        print(f"{TABLE}: only {len(rows)} rows were found")
        return 1
    failed, seen = 0, {}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        rule = cells[0]
        commands = [c for c in re.findall("`([^`]*)`", cells[-1]) if c.startswith(("cargo test ", "scripts/"))]
        ran = [command for command in commands if runs(command, seen)]
        if not ran:
            print(f"FAILED {rule}: no command of this row runs in make test")
            failed += 1
            continue
        for command in ran:
            fault = seen[command]
            if fault:
                print(f"FAILED {rule}: {command}\n{fault}")
                failed += 1
        print(f"{rule}: {len(ran)} shown")
    print(f"{len(rows)} safeguards, {len(seen)} commands, {failed} failed")
    return 1 if failed else 0


def runs(command: str, seen: dict) -> bool:
    """Whether it runs here or as a step; what is wrong with it is in `seen`."""
    if command in seen:
        return True
    if command.startswith("scripts/"):
        if not re.search(rf"^step .* {re.escape(command)}$", STEPS, re.M):
            return False
        seen[command] = ""
        return True
    done = subprocess.run(command.split(), capture_output=True, text=True)
    passed = sum(int(n) for n in re.findall(r"(\d+) passed", done.stdout))
    if done.returncode != 0:
        seen[command] = (done.stdout + done.stderr)[-2000:]
    elif passed == 0:
        seen[command] = "it runs no test"
    else:
        seen[command] = ""
    return True


if __name__ == "__main__":
    sys.exit(main())
