#!/bin/sh
# Prints -race. The race detector needs a C compiler, which is installed where
# it is missing. Where there is no way to get one, prints nothing and says so
# loudly.
set -eu

say() { echo "race.sh: $*" >&2; }

# Go's compiler for C; a compiler without the C library's headers is none.
works() { echo '#include <stdlib.h>' | $(go env CC) -E - >/dev/null 2>&1; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
		return
	fi
	command -v sudo >/dev/null && sudo "$@"
}

install() {
	command -v apt-get >/dev/null || return 1
	say "installing gcc with apt-get"
	as_root apt-get update -qq >&2 || return 1
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends gcc libc6-dev >&2
}

if works || { install && works; }; then
	echo -race
	exit 0
fi
say "!!! NO C COMPILER: the tests run WITHOUT the race detector." \
	"Install one: apt-get install gcc libc6-dev, or xcode-select --install."
