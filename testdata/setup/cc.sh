#!/bin/sh
# Sees to a C compiler: PostgreSQL's grammar, with which pleat reads SQL, is C,
# and the race detector needs one too. Installs it where it is missing and says
# so; prints nothing where it is there.
set -eu

say() { echo "cc.sh: $*" >&2; }

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
	exit 0
fi
say "no C compiler, and no way to get one here;" \
	"install one: apt-get install gcc libc6-dev, or xcode-select --install"
exit 1
