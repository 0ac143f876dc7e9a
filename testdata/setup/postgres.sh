#!/bin/sh
# Prints the directory of PostgreSQL's server programs (initdb, postgres).
# Installs them from the platform's packages when there are none. No cluster
# is made and no server is started.
set -eu

say() { echo "postgres.sh: $*" >&2; }

is_bin() { [ -x "$1/initdb" ] && [ -x "$1/postgres" ] && [ -x "$1/pg_ctl" ]; }

# The newest of the versioned directories that match; nothing without a match.
newest() {
	for dir in "$@"; do
		if is_bin "$dir"; then echo "$dir"; fi
	done | sort -V | tail -n 1
}

find_bin() {
	if initdb=$(command -v initdb) && is_bin "$(dirname "$initdb")"; then
		dirname "$initdb"
		return
	fi
	newest /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
		/Applications/Postgres.app/Contents/Versions/*/bin
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
		return
	fi
	if ! command -v sudo >/dev/null; then
		say "installing needs root, and there is no sudo; run as root: $*"
		exit 1
	fi
	sudo "$@"
}

install_apt() {
	say "installing the PostgreSQL server with apt-get"
	as_root apt-get update -qq >&2
	# Debian's package makes and starts a cluster unless it is told not to.
	as_root mkdir -p /etc/postgresql-common
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		echo 'create_main_cluster = false' |
			as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends postgresql >&2
}

install_brew() {
	say "installing postgresql@16 with Homebrew"
	brew install --quiet postgresql@16 >&2
}

install() {
	if command -v apt-get >/dev/null; then
		install_apt
		return
	fi
	if command -v brew >/dev/null; then
		install_brew
		return
	fi
	say "no PostgreSQL server found, and neither apt-get nor brew to install it;" \
		"install PostgreSQL 14 or later and put initdb into PATH"
	exit 1
}

bin=$(find_bin)
if [ -z "$bin" ]; then
	install
	bin=$(find_bin)
fi
if [ -z "$bin" ]; then
	say "PostgreSQL was installed, but initdb is not where it should be; put it into PATH"
	exit 1
fi
echo "$bin"
