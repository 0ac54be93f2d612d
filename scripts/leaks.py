#!/usr/bin/env python3
"""Looks for what calls have said in what a server has written: leaks.py CALLS.json PATH...

CALLS.json is that of `tieline bench calls`. Every phrase of eight letters or more, as it was said, heard and answered, and the people of the
seed data, are looked for in every file below the paths, in whatever case, as UTF-8 and as UTF-16.
"""

import json
import re
import sys
from pathlib import Path

PEOPLE = ["Whitfield", "482615", "+12125550101", "2125550101", "MB123456", "1985-03-15", "Jordan Avery", "Gold PPO"]


def main() -> int:
    calls, *places = sys.argv[1:]
    phrases = set(PEOPLE) | phrases_of(json.loads(Path(calls).read_text()))
    files = [path for place in places for path in below(Path(place))]
    size, found = 0, set()
    for path in files:
        content = path.read_bytes().lower()
        size += len(content)
        for phrase in phrases:
            for form in (phrase.lower().encode(), phrase.lower().encode("utf-16-le")):
                if form in content:
                    found.add((path.name, phrase))
    print(f"{len(phrases)} phrases looked for in {len(files)} files, {size / 1e6:.1f} MB: {len(found)} found")
    for name, phrase in sorted(found):
        print(f"  {name}: {phrase}")
    if len(phrases) < 100 or size < 1_000_000:
        print("that is too little to show anything")
        return 1
    return 1 if found else 0


def phrases_of(value) -> set[str]:
    """Of all lines of all calls."""
    if isinstance(value, dict):
        parts = [phrases_of(inner) for inner in value.values()]
    elif isinstance(value, list):
        parts = [phrases_of(inner) for inner in value]
    elif isinstance(value, str) and re.match("(caller|heard|agent): ", value):
        text = value.split(": ", 1)[1].strip()
        parts = [{part.strip() for part in re.split("(?<=[.?!])", text) if len(part.strip()) >= 8}]
    else:
        parts = []
    return set().union(*parts)


def below(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
