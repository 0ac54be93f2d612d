#!/usr/bin/env bash
# Complete calls in a network namespace of their own, with every packet that would have left it written down: with PRIVACY=on-prem there
# is none. The way out is a default route to an interface that leads nowhere, so that whatever is tried is seen, and nothing arrives.
#
# What runs there: the tests of whole guided calls (sockets and database real, engines told what to hear), a call by voice through
# `tieline serve` and its models, and settings that lead outside. Controls show that the capture sees what a process tries.
#
# Wants the release build, the built tests and the tests' models; nothing is fetched. Namespaces need root or unprivileged user
# namespaces; without either the same processes are traced by strace instead, which shows every address they hand to the kernel. Where
# not even that is possible this fails; NAMESPACE_TEST=skip leaves it out, NAMESPACE_TEST=strace takes strace in any case.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tieline=$(realpath "${CARGO_TARGET_DIR:-target}/release/tieline")
readonly tieline
readonly OUTSIDE=203.0.113.9 # for documentation (RFC 5737): nobody is there
readonly MARKER=192.0.2.99
readonly READY_DEADLINE_S=120

work=''
server=''
capture=''
inside=no
alone=()

main() {
    if [[ "${1:-}" == --inside ]]; then
        inside=yes
    else
        choose
    fi
    work=$(mktemp -d)
    trap clean_up EXIT
    touch "$work/none.env"
    # What is set beside this, each command names itself.
    alone=(env -i PATH="$PATH" HOME="$work" MODELS_DIR=models AGENTS_DIR=agents DATA_DIR="$work/data" LOG=info)
    if [[ "$inside" == yes ]]; then
        make_way_out
        start_capture
    fi
    control_of_the_capture

    say 'whole guided calls, engines told what to hear'
    watched cargo test --release --locked --offline --quiet --test server --test calls --test endpoints -- \
        guided:: sqlite::every_call egress::
    nothing_left 'whole guided calls'

    say 'a call by voice'
    call_by_voice
    nothing_left 'a call by voice'

    say 'settings that lead outside'
    settings_that_lead_outside
    nothing_left 'settings that lead outside'

    control_of_the_guard
    say 'ok: complete calls, and not one packet to anywhere but this machine'
}

# Goes on in a namespace, or in this process with strace.
choose() {
    if [[ "$(uname -s)" != Linux ]]; then
        say '!!!! SKIPPED (no Linux): it was NOT shown that nothing leaves this machine'
        exit 0
    fi
    case "${NAMESPACE_TEST:-}" in
    skip)
        say '!!!! SKIPPED (NAMESPACE_TEST=skip): it was NOT shown that nothing leaves this machine'
        exit 0
        ;;
    strace) ;;
    '')
        # As root without a user namespace, where the tests' other users are still there.
        if unshare --net true 2>/dev/null; then exec unshare --net "$PWD/scripts/namespace_test.sh" --inside; fi
        if unshare --map-root-user --net true 2>/dev/null; then exec unshare --map-root-user --net "$PWD/scripts/namespace_test.sh" --inside; fi
        say 'no network namespaces here (neither root nor unprivileged user namespaces)'
        ;;
    *) die "NAMESPACE_TEST is $NAMESPACE_TEST; write skip or strace, or leave it out" ;;
    esac
    strace -qq -e trace=none true 2>/dev/null ||
        die 'neither network namespaces nor strace work here, so nothing can be shown. Run this as root, or allow user namespaces (sysctl
        kernel.unprivileged_userns_clone=1), or install strace; NAMESPACE_TEST=skip leaves it out'
    say 'tracing by strace instead'
}

make_way_out() {
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    # A dummy where the kernel has one, else a pair whose other end nobody reads.
    if ! ip link add out0 type dummy 2>/dev/null; then
        ip link add out0 type veth peer name out1
        ip link set out1 arp off up
    fi
    ip link set out0 arp off up
    ip address add 192.0.2.2/24 dev out0
    ip route add default dev out0
    if [[ -e /proc/net/if_inet6 ]]; then
        ip -6 address add 2001:db8::2/64 dev out0 nodad
        ip -6 route add default dev out0
    fi
}

start_capture() {
    # Its input is held open by this script, so that it goes when this goes.
    mkfifo "$work/alive"
    python3 scripts/packets.py out0 <"$work/alive" >"$work/packets" &
    capture=$!
    exec 9>"$work/alive"
    wait_for '^ready$' "$work/packets" "$capture" 'the capture'
    python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('$MARKER', 40000))"
    echo "udp $MARKER:40000" >"$work/mark"
}

# Runs a command and has what it sends written down.
watched() {
    if [[ "$inside" == yes ]]; then
        "$@"
    else
        strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -e signal=none -o "$work/trace.$(date +%s%N)" "$@"
    fi
}

# Where anything was sent since the last time: in a namespace what came before a packet of our own, which must arrive.
sent() {
    if [[ "$inside" == yes ]]; then
        local last mark
        last=$(cat "$work/mark")
        mark="udp $MARKER:$((${last##*:} + 1))"
        python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('$MARKER', ${mark##*:}))"
        wait_for "^$mark\$" "$work/packets" "$capture" 'the capture'
        awk -v last="$last" -v mark="$mark" '$0 == mark { exit } begun; $0 == last { begun = 1 }' "$work/packets"
        echo "$mark" >"$work/mark"
    else
        # The kernel answers a look at an address without sending anything: a datagram socket that is connected with port 0.
        cat "$work"/trace.* 2>/dev/null | python3 -c '
import re, sys
for line in sys.stdin:
    four = re.search(r"sin_port=htons\((\d+)\), sin_addr=inet_addr\(\"([^\"]+)\"\)", line)
    six = re.search(r"sin6_port=htons\((\d+)\).*inet_pton\(AF_INET6, \"([^\"]+)\"", line)
    port, address = (four or six).groups() if four or six else (None, "127.")
    if not address.startswith(("127.", "::1", "::ffff:127.")) and port != "0":
        print(f"{line.split()[1].split(chr(40))[0]} {address}:{port}")
'
        rm -f "$work"/trace.*
    fi
}

nothing_left() {
    local out
    out=$(sent)
    [[ -z "$out" ]] || die "during \"$1\" something was sent elsewhere:
$(sort <<<"$out" | uniq -c | head -20)"
    say "  nothing was sent elsewhere"
}

control_of_the_capture() {
    local probe="import socket
for family, to in ((socket.AF_INET, '198.51.100.7'), (socket.AF_INET6, '2001:db8:1::1')):
    try: socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', (to, 9))
    except OSError as error: print('control:', to, error)"
    if [[ "$inside" == yes ]]; then
        python3 -c "$probe"
    else
        # Refused before it is sent.
        strace -f -qq -e trace=sendto -e inject=sendto:error=ENETUNREACH -o "$work/trace.0" python3 -c "$probe" >/dev/null
    fi
    local seen
    seen=$(sent)
    grep -q '198.51.100.7:9$' <<<"$seen" || die "the capture does not see what is sent: $seen"
    [[ ! -e /proc/net/if_inet6 ]] || grep -q '2001:db8:1::1' <<<"$seen" || die "the capture does not see IPv6: $seen"
}

call_by_voice() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    local -a settings=(BIND="127.0.0.1:$port" PUBLIC_URL="http://127.0.0.1:$port" TWILIO_AUTH_TOKEN=namespace-test AGENT=eligibility)
    watched_server "${settings[@]}"
    wait_for '^ready http' "$work/out" "$server" 'the server'
    "${alone[@]}" "${settings[@]}" "$tieline" --env-file "$work/none.env" call --json --webhook "http://127.0.0.1:$port/voice/incoming" \
        --say 'Hello, is an MRI covered?' --say 'My member id is M B 1 2 3 4 5 6.' --say 'March 15th, 1985.' \
        --say 'Yes, that is right.' >"$work/call.json" 2>"$work/call.log" || die "the call failed: $(tail -20 "$work/call.log" "$work/log")"
    # strace takes no signals: what it runs does.
    local pid=$server
    [[ "$inside" == yes ]] || pid=$(tr -d ' ' <"/proc/$server/task/$server/children")
    kill -TERM "$pid"
    wait "$server" || die "the server did not end in order: $(tail -20 "$work/log")"
    server=''
    python3 - "$work" <<'PYTHON'
import json, sqlite3, sys
work = sys.argv[1]
report = json.load(open(f"{work}/call.json"))
turns = len(report["turns"])
with sqlite3.connect(f"{work}/data/tieline.db") as database:
    (kept,) = database.execute("SELECT count(*) FROM turns").fetchone()
    (ended,) = database.execute("SELECT count(*) FROM calls WHERE ended_at_ms IS NOT NULL").fetchone()
if turns != 4 or ended != 1 or kept < 4:
    sys.exit(f"namespace_test: no complete call: {turns} turns answered, {kept} kept, {ended} calls ended")
print(f"namespace_test:   a call of {turns} turns, {kept} of them in the database")
PYTHON
}

watched_server() {
    if [[ "$inside" == yes ]]; then
        "${alone[@]}" "$@" "$tieline" --env-file "$work/none.env" serve >"$work/out" 2>"$work/log" &
    else
        "${alone[@]}" "$@" strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -e signal=none -o "$work/trace.server" \
            "$tieline" --env-file "$work/none.env" serve >"$work/out" 2>"$work/log" &
    fi
    server=$!
}

settings_that_lead_outside() {
    local setting
    for setting in "LLM_BASE_URL=https://$OUTSIDE/v1" "STT_URL=http://$OUTSIDE/v1" 'TTS_URL=https://[2001:db8:1::1]/v1' \
        "DATABASE_URL=postgres://tieline@$OUTSIDE/tieline"; do
        if watched "${alone[@]}" "$setting" BIND=127.0.0.1:0 timeout 60 "$tieline" --env-file "$work/none.env" serve >"$work/out" 2>"$work/log"; then
            die "the server started with $setting"
        fi
        grep -q "${setting%%=*}: .* is not contacted: .* a public address, and PRIVACY is on-prem" "$work/log" ||
            die "no reason was given for $setting: $(cat "$work/log")"
    done
    # A look at the set-up asks a language model, too: by the same guard.
    watched "${alone[@]}" "LLM_BASE_URL=https://$OUTSIDE/v1" LLM_DEADLINE=1s BIND=127.0.0.1:0 "$tieline" --env-file "$work/none.env" doctor \
        >"$work/out" 2>&1 && die 'the doctor finds nothing wrong with a language model outside'
    grep -q 'is not contacted' "$work/out" || die "the doctor gives no reason: $(cat "$work/out")"
}

# The same once more with the address listed: now it is tried, and seen. So it was the guard that kept it in.
control_of_the_guard() {
    local -a look=("${alone[@]}" "LLM_BASE_URL=https://$OUTSIDE/v1" "EGRESS_ALLOW=$OUTSIDE" LLM_DEADLINE=1s BIND=127.0.0.1:0)
    local -a doctor=("$tieline" --env-file "$work/none.env" doctor)
    if [[ "$inside" == yes ]]; then
        "${look[@]}" "${doctor[@]}" >"$work/out" 2>&1 || true
    else
        # Refused by the kernel's mouth, before it is sent.
        "${look[@]}" strace -f -qq -e trace=connect -e inject=connect:error=ENETUNREACH -o "$work/trace.0" "${doctor[@]}" >"$work/out" 2>&1 || true
    fi
    local seen
    seen=$(sent)
    grep -q "$OUTSIDE:443$" <<<"$seen" || die "an address that is listed was not seen to be tried: $seen"
    ! grep -v "$OUTSIDE:443$" <<<"$seen" || die 'something else was tried'
    say "  with EGRESS_ALLOW=$OUTSIDE it is tried, and the capture sees it"
}

# Waits until a line of a file matches, for as long as a process lives.
wait_for() {
    local _
    for _ in $(seq $((READY_DEADLINE_S * 10))); do
        ! grep -q "$1" "$2" 2>/dev/null || return 0
        kill -0 "$3" 2>/dev/null || die "$4 ended: $(tail -20 "$work/log" 2>/dev/null)"
        sleep 0.1
    done
    die "$4 was not ready within $READY_DEADLINE_S s"
}

clean_up() {
    [[ -z "$server" ]] || kill "$server" 2>/dev/null || true
    exec 9>&- || true
    [[ -z "$capture" ]] || wait "$capture" 2>/dev/null || true
    rm -rf "$work"
}

say() { echo "namespace_test: $*" >&2; }
die() {
    say "$*"
    exit 1
}

main "$@"
