#!/bin/sh
# unpacked.sh PROGRAM DIR PACKAGE ...: prints how to call a program, or nothing
# where it cannot be had. Unless it is in PATH, Debian's packages are unpacked, not
# installed, into DIR, with a script that lets it find the libraries among them:
# nothing of the machine is changed, and no service is started.
set -eu

say() { echo "unpacked.sh: $*" >&2; }

fetch() { apt-get -o APT::Sandbox::User=root download -qq "$@" >&2; }

unpack() {
	cd "$dir"
	fetch "$@" || { apt-get update -qq >&2 && fetch "$@"; } || return 1
	for package in *.deb; do
		dpkg-deb -x "$package" . && rm "$package"
	done
	found=$(find "$PWD/usr/bin" "$PWD/usr/sbin" -name "$program" 2>/dev/null | head -n 1)
	libraries=$(find "$PWD/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*' 2>/dev/null | head -n 1)
	printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "${libraries:-/usr/lib}" "$found" >"$program.new"
	chmod +x "$program.new"
	mv "$program.new" "$program"
}

program=$1
if found=$(command -v "$program"); then
	echo "$found"
	exit
fi
dir=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
if [ ! -x "$dir/$program" ]; then
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		say "no $program in PATH, and no apt-get to get it with: what needs it is left out"
		exit
	fi
	say "unpacking Debian's $*"
	(unpack "$@") || {
		say "$program cannot be had: what needs it is left out"
		exit
	}
fi
echo "$dir/$program"
