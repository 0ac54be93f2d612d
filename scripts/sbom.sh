#!/usr/bin/env bash
# Writes the software bill of materials (CycloneDX 1.6, JSON) to target/tieline.cdx.json, or to the file named, and checks it
# against CycloneDX's own schema. The first use creates .cache/sbom; later uses need no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly VENV=.cache/sbom
readonly PACKAGE='cyclonedx-python-lib[json-validation]==11.12.0'

if [[ "$(cat "$VENV/.installed" 2>/dev/null || true)" != "$PACKAGE" ]] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
    echo "sbom: installing $PACKAGE into $VENV (once, about 20 MB)" >&2
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$PACKAGE" >&2
    echo "$PACKAGE" >"$VENV/.installed" # last, so that an interrupted installation starts again
fi
[[ "${1:-}" != --install ]] || exit 0
out=${1:-${CARGO_TARGET_DIR:-target}/tieline.cdx.json}
mkdir -p "$(dirname "$out")"
exec "$VENV/bin/python" scripts/sbom.py "$out"
