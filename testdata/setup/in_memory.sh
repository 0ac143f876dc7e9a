#!/bin/sh
# in_memory.sh COMMAND...: runs the command with TMPDIR in memory, where there is
# room for that, and takes the directory away afterwards. The tests make and drop
# hundreds of databases, of 300 files each; on a disk a third of their time goes
# into that. Without room, TMPDIR stays what it is.
set -u

need=6291456 # KiB, of the file system and of the machine's memory

# room tells whether $1 is a file system in memory that has room and runs programs.
room() {
	[ -w "$1" ] && [ "$(stat -f -c %T "$1" 2>/dev/null)" = tmpfs ] || return 1
	free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
	memory=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	[ "${free:-0}" -ge $need ] && [ "${memory:-0}" -ge $need ] || return 1
	probe=$(mktemp "$1/pleat-probe.XXXXXX") || return 1
	printf '#!/bin/sh\n' >"$probe" && chmod 700 "$probe" && "$probe" 2>/dev/null
	runs=$?
	rm -f "$probe"
	return $runs
}

room /dev/shm && dir=$(mktemp -d /dev/shm/pleat.XXXXXX) || exec "$@"
chmod 711 "$dir" # PostgreSQL runs as somebody else
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
TMPDIR=$dir "$@"
