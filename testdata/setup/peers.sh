#!/bin/sh
# Builds the tools that `make bench-schema` compares with into a directory, each
# from its own module at a version that is pinned here, with that module's own
# dependencies: none of it gets into pleat's go.mod. What cannot be had is left
# out, and said. Prints the flags by which bench finds what there is.
set -eu

PGROLL=github.com/xataio/pgroll@v0.16.2
MIGRATE=github.com/golang-migrate/migrate/v4

say() { echo "peers.sh: $*" >&2; }

# build NAME MODULE@VERSION PACKAGE [FLAG...]
build() {
	name=$1 module=$2 package=$3
	shift 3
	file=$out/$name-${module##*@}
	if [ ! -x "$file" ]; then
		say "building $module"
		dir=$(go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') && [ -n "$dir" ] &&
			(cd "$dir" && go build -o "$file" "$@" "$package") >&2 || {
			say "$module cannot be built: its figures are left out"
			return
		}
	fi
	echo "-$name $file"
}

out=$(mkdir -p "$1" && cd "$1" && pwd)
version=$(go list -m -f '{{.Version}}' $MIGRATE)
build pgroll $PGROLL .
build migrate $MIGRATE@"$version" ./cmd/migrate -tags pgx5,file
