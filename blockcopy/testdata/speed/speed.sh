#!/usr/bin/env bash
# How fast the package and its peers copy, in one run, as medians, and whether the
# targets are met. Programs that are not installed are left out. For sections cold
# and link it must be root.
#
#	speed.sh                      all sections: fresh cold delta ssh link sparse
#	SIZE=256 RUNS=3 speed.sh fresh delta
set -euo pipefail

SIZE=${SIZE:-2048}          # MiB of the image
LINKSIZE=${LINKSIZE:-256}   # MiB of the image that goes over the slow link
SPARSE=${SPARSE:-65536}     # MiB of the image that is one hole
RUNS=${RUNS:-5}             # the peers take turns in each
DELAY=${DELAY:-30ms}        # of the link, one way
RATE=${RATE:-100000000}     # of the link, bits per second
PARENT=${PARENT:-${TMPDIR:-/tmp}} # on the disk to be measured, with room for four images

cd "$(dirname "$0")/../../.."
work=$(mktemp -d "$PARENT/speed.XXXXXX")
sshd= link= to_link=
cleanup() {
	[ -z "$sshd" ] || kill "$sshd" || true
	[ -z "$link" ] || { exec {to_link}>&-; wait "$link" || true; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

has() { command -v "$1" >/dev/null; }
root() { [ "$(id -u)" = 0 ] || { echo "section $1 needs root: left out" >&2; return 1; }; }

export PATH="$work/bin:$PATH:/usr/sbin:/sbin"
go build -o "$work/bin/speed" ./blockcopy/testdata/speed
go build -o "$work/bin/diskmove" ./examples/diskmove
GOBIN="$work/bin" go install github.com/dop251/diskrsync/diskrsync@latest 2>"$work/log" ||
	echo "diskrsync cannot be built here: left out" >&2
for peer in rsync qemu-img nbdcopy b3sum ssh sshd; do
	has "$peer" || echo "$peer is not installed: what needs it is left out" >&2
done

cd "$work"
results=$work/results
: >"$results"
say() { local IFS=$'\t'; printf '%s\n' "$*" >>"$results"; }

# timed SECTION NAME CMD ... is one run. Names of programs that are not there do nothing.
timed() {
	case $2 in *diskrsync*) has diskrsync || return 0 ;; *rsync*) has rsync || return 0 ;; qemu-img*) has qemu-img || return 0 ;; nbdcopy*) has nbdcopy || return 0 ;; b3sum*) has b3sum || return 0 ;; esac
	speed run "$results" "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}
fresh() { rm -f dst dst.journal; sync; timed "$@"; }
same() { cmp "$1" "$2" >&2 || exit 1; } # speed that corrupts is none
forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }
runs() { seq "$RUNS"; }
image() { [ -f src ] || { speed image $((SIZE << 20)) src; sync; }; cat src >/dev/null; }

fresh_section() {
	local s='fresh, warm'
	image
	say base "$s" cp
	for _ in $(runs); do
		timed "$s" 'read floor' dd if=src of=/dev/null bs=1M
		fresh "$s" cp cp --sparse=always src dst
		fresh "$s" 'ours, as cp does' speed copy src dst
		same src dst
		fresh "$s" 'dd conv=sparse' dd if=src of=dst bs=4M conv=sparse
		fresh "$s" 'dd bs=4M' dd if=src of=dst bs=4M
		fresh "$s" 'qemu-img convert' qemu-img convert -f raw -O raw src dst
		fresh "$s" nbdcopy nbdcopy src dst
		fresh "$s" diskrsync diskrsync src dst
		fresh "$s" 'rsync -W --inplace' rsync -W --inplace src dst
		fresh "$s" 'cp and sync' sh -c 'cp --sparse=always src dst && sync dst'
		fresh "$s" 'diskmove, durable' diskmove copy -no-verify -journal none src dst
		fresh "$s" 'diskmove' diskmove copy src dst
		same src dst
	done
	say ratio 'fresh, warm: ours to cp' "$s" 'ours, as cp does' "$s" cp '<=' 1.3
	say ratio 'aim' "$s" 'ours, as cp does' "$s" cp '<=' 1.0
}

cold_section() {
	local s='fresh, cold'
	root cold || return 0
	image
	say base "$s" cp
	for _ in $(runs); do
		forget
		timed "$s" 'dd iflag=direct' dd if=src of=/dev/null bs=4M iflag=direct
		rm -f dst; forget
		timed "$s" cp cp --sparse=always src dst
		rm -f dst; forget
		timed "$s" 'cp and sync' sh -c 'cp --sparse=always src dst && sync dst'
		rm -f dst; forget
		timed "$s" 'diskmove, journal' diskmove copy -no-verify -journal journal src dst
		rm -f dst journal; forget
		timed "$s" 'diskmove, journal, verified' diskmove copy -journal journal src dst
		same src dst
		rm -f journal
	done
	say ratio 'cold with journal: ours to the direct read' "$s" 'diskmove, journal' "$s" 'dd iflag=direct' '<=' 1.3
	say ratio 'aim' "$s" 'diskmove, journal' "$s" 'dd iflag=direct' '<=' 1.07
	say ratio 'the same, verified' "$s" 'diskmove, journal, verified' "$s" 'dd iflag=direct' '<=' 1.3
}

# old makes the target the image before a hundredth of it changed.
old() { rm -f dst dst.journal; cp --sparse=always before dst; sync dst; }

delta_section() {
	local s='delta of 1 %'
	image
	cp --sparse=always src before
	cp --sparse=always src after
	speed change after 2
	cp --sparse=always src live
	diskmove copy -live live final >/dev/null 2>&1
	sync
	say base "$s" 'cp, fresh'
	for run in $(runs); do
		cat before after >/dev/null
		fresh "$s" 'cp, fresh' cp --sparse=always after dst
		old; timed "$s" diskmove diskmove copy -journal none after dst
		same after dst
		old; timed "$s" rsync rsync -I --inplace --no-whole-file after dst
		old; timed "$s" diskrsync diskrsync after dst
		speed change live "$((10 + run))"; sync; cat live final >/dev/null
		timed "$s" 'diskmove, with the journal' diskmove copy -final live final
		same live final
	done
	rm -f before after dst live final final.journal
	say ratio 'delta: ours to a fresh cp' "$s" 'diskmove, with the journal' "$s" 'cp, fresh' '<=' 0.6
	say ratio 'aim' "$s" 'diskmove, with the journal' "$s" 'cp, fresh' '<=' 0.35
	say ratio 'the same, without a journal' "$s" diskmove "$s" 'cp, fresh' '<=' 0.6
	say ratio 'delta: rsync to ours' "$s" rsync "$s" diskmove '>=' 4
}

# serve ADDRESS PORT [WORDS ...] starts an sshd with keys and configurations of its
# own, behind the words, and writes ssh.conf for the host far.
serve() {
	local address=$1 port=$2
	shift 2
	[ -f user ] || { ssh-keygen -q -t ed25519 -N '' -C speed -f user; ssh-keygen -q -t ed25519 -N '' -C speed -f host; }
	[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
	echo "far $(cat host.pub)" >known_hosts
	cat >sshd.conf <<-END
		ListenAddress $address
		Port $port
		HostKey $work/host
		AuthorizedKeysFile $work/user.pub
		PermitRootLogin prohibit-password
		StrictModes no
		UsePAM no
		UseDNS no
		PidFile none
	END
	cat >ssh.conf <<-END
		Host far
		HostName $address
		Port $port
		User $(id -un)
		HostKeyAlias far
		IdentityFile $work/user
		IdentitiesOnly yes
		IdentityAgent none
		UserKnownHostsFile $work/known_hosts
		GlobalKnownHostsFile none
		BatchMode yes
		Ciphers aes128-gcm@openssh.com
		ServerAliveInterval 10
	END
	"$@" "$(command -v sshd)" -D -e -f sshd.conf 2>sshd.log &
	sshd=$!
	until grep -q '^Server listening' sshd.log; do kill -0 "$sshd" || { cat sshd.log >&2; exit 1; }; done
	# diskmove at the far end has a row of its own in the table.
	cat >agent <<-END
		#!/bin/sh
		exec "$work/bin/speed" run "$results" 'far end' "\$2" "$work/bin/diskmove" "\$@"
	END
	chmod 755 agent
}
unserve() { kill "$sshd"; wait "$sshd" || true; sshd=; }

ssh_section() {
	local s='ssh on loopback' config=$work/ssh.conf
	has ssh && has sshd || return 0
	image
	serve 127.0.0.1 "$(speed port)"
	say base "$s" 'cp'
	for _ in $(runs); do
		fresh "$s" cp cp --sparse=always src dst
		fresh "$s" 'ssh dd | dd' bash -o pipefail -c "ssh -F $config far dd if=$work/src bs=1M | dd of=dst bs=1M"
		fresh "$s" 'diskmove, pull' diskmove copy -ssh "ssh -F $config" -agent "$work/agent" "far:$work/src" dst
		same src dst
		fresh "$s" 'diskmove, push' diskmove copy -ssh "ssh -F $config" -agent "$work/agent" src "far:$work/dst"
		same src dst
		fresh "$s" 'pull, not read back' diskmove copy -no-verify -ssh "ssh -F $config" -agent "$work/agent" "far:$work/src" dst
		same src dst
		fresh "$s" 'diskmove -dd' diskmove copy -dd -ssh "ssh -F $config" "far:$work/src" dst
		same src dst
	done
	unserve
	say ratio 'over ssh: pull to ssh dd | dd' "$s" 'diskmove, pull' "$s" 'ssh dd | dd' '<=' 0.6
	say ratio 'over ssh: push to ssh dd | dd' "$s" 'diskmove, push' "$s" 'ssh dd | dd' '<=' 0.6
	say ratio 'the same, not read back' "$s" 'pull, not read back' "$s" 'ssh dd | dd' '<=' 0.6
	say ratio 'aim' "$s" 'diskmove, pull' "$s" 'ssh dd | dd' '<=' 0.4
}

link_section() {
	local s='slow link' config=$work/ssh.conf a b address before bytes far
	root link && has ssh && has sshd && has ip || return 0
	coproc LINK { exec speed link "$DELAY" "$RATE"; }
	link=$LINK_PID to_link=${LINK[1]}
	read -r a b address <&"${LINK[0]}"
	serve "$address" 22 ip netns exec "$b"
	far() { timed "$1" "$2" ip netns exec "$a" "${@:3}"; }
	wire() { ip netns exec "$a" cat /sys/class/net/wan0/statistics/rx_bytes; }
	move() { far "$1" "$2" diskmove copy -journal none -ssh "ssh -F $config" -agent "$work/agent" "far:$work/$3" dst; }

	speed image $((LINKSIZE << 20)) big
	speed image $((LINKSIZE << 18)) quarter
	cp --sparse=always big after
	speed change after 2
	sync
	rm -f dst
	before=$(wire)
	move "$s" 'diskmove, full' big
	bytes=$(($(wire) - before))
	same big dst
	for _ in $(runs); do
		far "$s" 'ssh true, the login' ssh -F "$config" far true
		cp --sparse=always big dst; sync dst
		far "$s" 'rsync, 1 %' rsync -I --inplace -e "ssh -F $config" "far:$work/after" dst
		cp --sparse=always big dst; sync dst
		move "$s" 'diskmove, 1 %' after
		same after dst
		cp --sparse=always big dst; sync dst
		move "$s" 'diskmove, the same' big
		cp --sparse=always quarter dst; sync dst
		move "$s" 'diskmove, the same, a quarter' quarter
	done
	rm -f big quarter after dst
	unserve
	exec {to_link}>&-
	wait "$link" || true
	link=
	say base "$s" 'rsync, 1 %'
	say result "$s" 'the wire, full' "$(echo "scale=6; $bytes * 8 / $RATE" | bc | sed 's/^\./0./')" 0
	say ratio 'link, full: ours to its bytes on the wire' "$s" 'diskmove, full' "$s" 'the wire, full' '<=' 1.1
	say ratio 'link, 1 %: ours to rsync' "$s" 'diskmove, 1 %' "$s" 'rsync, 1 %' '<=' 0.8
	# If round trips grew with the image, this would come near 4.
	say ratio 'link: an image to a quarter of it' "$s" 'diskmove, the same' "$s" 'diskmove, the same, a quarter' '<=' 1.5
}

sparse_section() {
	local s='one hole'
	truncate -s "${SPARSE}M" hole
	truncate -s 2048M small
	say base "$s" 'b3sum of 2 GiB'
	for _ in $(runs); do
		timed "$s" 'b3sum of 2 GiB' b3sum small
		fresh "$s" 'diskmove of 2 GiB' diskmove copy -journal none small dst
	done
	rm -f dst
	timed "$s" "diskmove of $((SPARSE >> 10)) GiB" diskmove copy -journal none hole dst
	rm -f hole small dst
	say ratio 'holes: b3sum to ours' "$s" 'b3sum of 2 GiB' "$s" 'diskmove of 2 GiB' '>=' 0.8
}

for section in ${@:-fresh cold delta ssh link sparse}; do "${section}_section"; done
say memory 'memory of diskmove, MiB' diskmove '<=' 128
echo "$SIZE MiB, $RUNS runs, $(nproc) processors, $(uname -sr)"
speed table <"$results"
