#!/usr/bin/env bash
# Installs the system packages that tieline's build needs, only those that are missing: scripts/bootstrap.sh [--tests]
# Debian and Ubuntu by apt (as root or with sudo), macOS by brew; elsewhere it prints the list and stops.
# When nothing is missing it touches no network and ends within a second.
set -euo pipefail

readonly MIN_CARGO=1.94
# The speech that the tests listen to, human telephone recordings with transcripts (never committed): the packages, and
# by position a file of each that proves it is there.
readonly TEST_PACKAGES=(asterisk-core-sounds-en-wav asterisk-core-sounds-en pocketsphinx-testdata)
readonly TEST_FILES=(
    /usr/share/asterisk/sounds/en_US_f_Allison/activated.wav
    /usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz
    /usr/share/pocketsphinx/test/data/goforward.raw
)
# Debian's package would start a server by itself; a machine that has the file has decided already.
readonly WITHOUT_CLUSTER='file=/etc/postgresql-common/createcluster.conf
[ -e "$file" ] || { mkdir -p "${file%/*}" && echo "create_main_cluster = false" >"$file"; }'

# Nor shall Debian's nginx, which a test starts by itself, serve port 80.
readonly WITHOUT_START='file=/usr/sbin/policy-rc.d
[ -e "$file" ] || { printf "#!/bin/sh\\nexit 101\\n" >"$file" && chmod 755 "$file" && touch "$file.tieline"; }'
readonly WITH_START='file=/usr/sbin/policy-rc.d
[ ! -e "$file.tieline" ] || rm -f "$file" "$file.tieline"'

main() {
    local with_tests=no
    case "${1:-}" in
    --tests) with_tests=yes ;;
    '') ;;
    *) die "unknown argument $1 (known: --tests)" ;;
    esac
    check_rust "$with_tests"
    if is_debian; then
        install_missing_debian "$with_tests"
    elif [[ "$(uname -s)" == Darwin ]]; then
        install_missing_macos "$with_tests"
    else
        require_by_hand "$with_tests"
    fi
    python_works || die "python3 still cannot make virtual environments with pip: 'python3 -c \"import pip, venv, ensurepip\"' must work (is another python3 first in PATH?)"
}

check_rust() {
    local have
    have=$(cargo --version 2>/dev/null | awk '{print $2}') || true
    [[ -n "$have" ]] || die "cargo is not in PATH. Install Rust $MIN_CARGO or newer with rustup (see the 'Install' page of the Rust web site), then open a new shell."
    at_least "$have" "$MIN_CARGO" || die "cargo $have is too old, $MIN_CARGO is the oldest that builds tieline. Run: rustup update stable"
    if [[ "$1" == yes ]]; then
        cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing. Run: rustup component add rustfmt"
        cargo clippy --version >/dev/null 2>&1 || die "clippy is missing. Run: rustup component add clippy"
    fi
}

# Compares the first two numbers of two versions.
at_least() {
    local have_major have_minor want_major want_minor
    IFS=. read -r have_major have_minor _ <<<"$1"
    IFS=. read -r want_major want_minor <<<"$2"
    ((have_major > want_major || (have_major == want_major && have_minor >= want_minor)))
}

is_debian() { command -v dpkg >/dev/null && command -v apt-get >/dev/null; }

# The names of the build packages (Debian's) whose purpose is not served yet, however it came to be installed.
missing_build_packages() {
    command -v cmake >/dev/null || echo cmake
    command -v c++ >/dev/null || echo g++
    command -v clang >/dev/null || echo clang
    libclang_found || echo libclang-dev
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists openssl 2>/dev/null || echo libssl-dev
    python_works || printf '%s\n' python3-venv python3-pip
}

libclang_found() {
    [[ -n "${LIBCLANG_PATH:-}" ]] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib*/libclang*.so*' >/dev/null || compgen -G '/usr/lib/*-linux-*/libclang*.so*' >/dev/null
}

# The tests start a server of their own from these programs.
postgres_found() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
        compgen -G '/opt/homebrew/opt/postgresql*/bin/initdb' >/dev/null
}

# The web server that a test puts in front, as deploy/nginx.conf does, and what makes it a certificate.
nginx_found() { command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]]; }

python_works() { python3 -c 'import pip, venv, ensurepip' 2>/dev/null; }

install_missing_debian() {
    local -a missing
    mapfile -t missing < <(missing_build_packages)
    if [[ "$1" == yes ]]; then
        local i
        for i in "${!TEST_PACKAGES[@]}"; do
            [[ -e "${TEST_FILES[i]}" ]] || missing+=("${TEST_PACKAGES[i]}")
        done
        postgres_found || missing+=(postgresql)
        nginx_found || missing+=(nginx-light)
        command -v openssl >/dev/null || missing+=(openssl)
        # The network namespace in which a test holds calls.
        command -v ip >/dev/null || [[ -x /sbin/ip ]] || missing+=(iproute2)
    fi
    ((${#missing[@]})) || return 0

    local -a as_root=()
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            die "missing system packages, and neither root nor sudo without a password is at hand. Run this, then try again:
    sudo apt-get update && sudo apt-get install -y ${missing[*]}"
        fi
    fi
    say "installing system packages: ${missing[*]}"
    [[ " ${missing[*]} " != *' postgresql '* ]] || "${as_root[@]}" sh -c "$WITHOUT_CLUSTER"
    [[ " ${missing[*]} " != *' nginx-light '* ]] || "${as_root[@]}" sh -c "$WITHOUT_START"
    retry "${as_root[@]}" apt-get update -qq || say "apt-get update failed; trying with the package lists that are here"
    # Container images leave /usr/share/doc out, also on a later reinstall; the transcripts are there.
    retry "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --reinstall \
        -o 'Dpkg::Options::=--force-confold' -o 'Dpkg::Options::=--path-include=/usr/share/doc/asterisk-core-sounds-en/*' "${missing[@]}" ||
        { "${as_root[@]}" sh -c "$WITH_START"; die "apt could not install: ${missing[*]}"; }
    "${as_root[@]}" sh -c "$WITH_START"
}

install_missing_macos() {
    xcode-select -p >/dev/null 2>&1 || die "the Xcode command line tools (clang) are missing. Run: xcode-select --install"
    local -a formulas=()
    command -v cmake >/dev/null || formulas+=(cmake)
    command -v pkg-config >/dev/null || formulas+=(pkgconf)
    python_works || formulas+=(python)
    [[ "$1" == no ]] || postgres_found || formulas+=(postgresql@16)
    if ((${#formulas[@]})); then
        command -v brew >/dev/null || die "missing: ${formulas[*]}. Install Homebrew, or these by other means, and try again."
        say "installing with brew: ${formulas[*]}"
        retry brew install --quiet "${formulas[@]}"
    fi
    [[ "$1" == no ]] || say "the tests on human speech need Debian packages (${TEST_PACKAGES[*]}): they will be SKIPPED here"
}

require_by_hand() {
    local -a missing
    mapfile -t missing < <(missing_build_packages)
    [[ "$1" == no ]] || postgres_found || missing+=(postgresql)
    ((${#missing[@]} == 0)) || die "this system has no apt-get. Install what corresponds to these Debian packages and try again: ${missing[*]}"
    [[ "$1" == no ]] || say "the tests on human speech need Debian packages (${TEST_PACKAGES[*]}): they will be SKIPPED here"
}

# Package mirrors and locks fail for moments: three attempts, 5 s apart.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        ((attempt == 3)) || { say "attempt $attempt failed: $*"; sleep 5; }
    done
    return 1
}

say() { echo "bootstrap: $*" >&2; }
die() {
    say "$*"
    exit 1
}

main "$@"
