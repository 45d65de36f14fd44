#!/usr/bin/env bash
# Measures package zone against its peers on a zone of a million records: medians
# of five rounds, in which everyone takes turns, as a machine is not equally fast
# all the time. Usage: speed.sh [records]. It takes about two minutes.
set -euo pipefail
cd "$(dirname "$0")"
export LC_ALL=C

records=${1:-1000000}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/speed" .
cd "$tmp"
./speed make big "$records" >/dev/null
./speed make small $((records / 10)) >/dev/null

# took NAME COMMAND... notes how many seconds a command takes, and its peak memory
# where it prints that.
took() {
	local name=$1 start end
	shift
	sync # nobody pays for the writes of the one before
	start=$EPOCHREALTIME
	if ! "$@" >out 2>err; then
		cat out err >&2
		return 1
	fi
	end=$EPOCHREALTIME
	awk -v n="$name" -v a="$start" -v b="$end" 'BEGIN { printf "%s time %.6f\n", n, b - a }' >>times
	awk -v n="$name" '$1 == "peak" || $1 == "save" { print n, $1, $2 }' out >>times
}
sed_serial() { sed 's/2024010101/2024010102/' big >copy; }
cp_and_sync() { cp big copy && sync copy; }

for _ in 1 2 3 4 5; do
	rm -f copy; took cp cp big copy
	rm -f copy; took sed sed_serial
	rm -f copy; took edit ./speed edit big copy
	rm -f copy; took edit-tenth ./speed edit small copy
	took miekg ./speed miekg big
	took checkzone named-checkzone -i local example.net big
	rm -f copy; took cp-sync cp_and_sync
	cp big saved; took save ./speed save saved
done

cat >report.awk <<'AWK'
{ values[$1 " " $2] = values[$1 " " $2] " " $3 }
function median(key,   n, v, i, j, t) {
	n = split(values[key], v, " ")
	for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j-1] + 0; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
	return v[int((n + 1) / 2)] + 0
}
function row(label, key,   peak) {
	peak = median(key " peak")
	printf "%-46s %9.3f %8.1f %s\n", label, median(key " time"), median(key " time") / median("cp time"), peak ? sprintf("%9.2f", peak / size) : "        -"
}
END {
	printf "%d records, %.1f MB; medians of five rounds\n\n", records, size / 1e6
	printf "%-46s %9s %8s %9s\n", "", "seconds", "x cp", "x memory"
	row("cp", "cp")
	row("sed of the serial", "sed")
	row("zone: Open, Lookup, Replace, Bump, WriteTo", "edit")
	row("miekg/dns: ZoneParser loop", "miekg")
	row("named-checkzone -i local", "checkzone")
	printf "\nnamed-checkzone / zone: %.1f\n", median("checkzone time") / median("edit time")
	printf "ten times the records take %.1f times the time\n", median("edit time") / median("edit-tenth time")
	printf "Save alone: %.3f s, %.1f x cp and sync (%.3f s)\n", median("save save"), median("save save") / median("cp-sync time"), median("cp-sync time")
}
AWK
awk -v records="$records" -v size="$(stat -c %s big)" -f report.awk times
