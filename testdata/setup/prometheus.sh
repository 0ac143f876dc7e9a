#!/bin/sh
# Prints the path of a Prometheus server, or nothing where none can be had. Unless
# there is one in PATH, Debian's is unpacked, not installed, into the directory
# given: nothing of the machine is changed, and no service is started.
set -eu

say() { echo "prometheus.sh: $*" >&2; }

fetch() { apt-get -o APT::Sandbox::User=root download -qq prometheus >&2; }

unpack() {
	cd "$out"
	fetch || { apt-get update -qq >&2 && fetch; } || return 1
	dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
}

if found=$(command -v prometheus); then
	echo "$found"
	exit
fi
out=$(mkdir -p "$1" && cd "$1" && pwd)
program=$out/usr/bin/prometheus
if [ ! -x "$program" ]; then
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		say "no Prometheus in PATH, and no apt-get to get it with: what needs it is left out"
		exit
	fi
	say "unpacking Debian's prometheus"
	(unpack) || {
		say "it cannot be had: what needs it is left out"
		exit
	}
fi
echo "$program"
