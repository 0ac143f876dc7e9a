#!/bin/sh
# Runs the schema suite on every version of PostgreSQL that can be had, one
# after the other, and says at the end which ones those were. $1 is go; further
# arguments are go test's.
set -u

go=$1
shift
setup=$(dirname "$0")
oldest=13
newest=18

found=$(sh "$setup/postgres_versions.sh") || exit 1
ran=
failed=
missing=
for major in $(seq $oldest $newest); do
	bin=$(echo "$found" | sed -n "s/^$major //p")
	if [ -z "$bin" ]; then
		missing="$missing $major"
		continue
	fi
	echo "=== $("$bin/postgres" --version)"
	if PLEAT_TEST_POSTGRES_BIN=$bin sh "$setup/in_memory.sh" "$go" test -count=1 -timeout 30m "$@" ./migrations/... ./providers/postgres/...; then
		ran="$ran $major"
	else
		failed="$failed $major"
	fi
done
echo "PostgreSQL that passed:${ran:- none}"
[ -z "$missing" ] || echo "PostgreSQL that could not be had:$missing"
[ -z "$failed" ] || { echo "PostgreSQL that FAILED:$failed"; exit 1; }
[ -n "$ran" ]
