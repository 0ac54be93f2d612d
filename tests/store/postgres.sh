# Runs a PostgreSQL of its own from the programs in $BIN until standard input ends, then leaves nothing behind. Prints the directory of
# its socket once it takes connections. The test binary holds the other end of standard input: however it dies, the server goes too.
# This text is also in $SCRIPT.
set -eu
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups sh -c "$SCRIPT"
fi
# Ctrl-C reaches the whole group; this shell stays to clean up.
trap '' INT TERM HUP
cd /
dir=$(mktemp -d /tmp/tieline-postgres.XXXXXX)
trap 'rm -rf "$dir"' EXIT
failed() {
    cat "$dir/log" >&2
    exit 1
}
"$BIN/initdb" -D "$dir/data" -U tieline --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/log" 2>&1 </dev/null || failed
# By socket only: no port to be taken.
"$BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-c listen_addresses= -k $dir -c fsync=off -c max_connections=200" start \
    >>"$dir/log" 2>&1 </dev/null || failed
echo "$dir"
cat >/dev/null
# By the pid in its postmaster.pid.
"$BIN/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 </dev/null || true
