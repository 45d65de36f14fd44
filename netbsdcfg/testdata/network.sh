# The part of /etc/rc.d/network that reads an ifconfig.IF file, with stand-ins
# for the commands: each prints its name and arguments on file descriptor 3.
#
#	sh network.sh read IFACE <FILE		run a file
#	sh network.sh run IFACE TEXT		run a text by itself
#
# PATH must hold nothing but a wg-keygen.

mode=$1 int=$2
shift 2

shown() {
	printf '>\n' >&3
	for word_; do printf '|%s\n' "$word_" >&3; done
}
drain() { while read -r rest_; do :; done; }

ifconfig() { shown ifconfig "$@"; }
dhcpcd() { shown dhcpcd "$@"; }
route() { shown route "$@"; }
wgconfig() { shown wgconfig "$@"; }
hello() { shown hello "$@"; }
cat() {
	shown cat "$@"
	if [ $# -eq 0 ]; then drain; fi
}

collapse() {
	while read -r part_; do
		case $part_ in
		*\\) printf '%s' "${part_%?}" ;;
		*) printf '%s\n' "$part_" ;;
		esac
	done
}

configure() {
	collapse | while read -r args; do
		case $args in
		'' | '#'* | create) ;;
		'!'*) (eval "${args#*!}") ;;
		dhcp) dhcpcd -n "$int" ;;
		*) (
			set -f
			eval set -- $args
			ifconfig $int "$@"
		) ;;
		esac
	done
}

exec 3>&1 >/dev/null 2>&1
case $mode in
read) configure ;;
run)
	text_=$1
	shift
	(eval "$text_") </dev/null
	;;
esac
