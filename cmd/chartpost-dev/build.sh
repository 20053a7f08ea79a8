#!/bin/sh
# Builds the programs of `make dev` into a folder and says how far it is: the first
# time, with nothing compiled yet, it takes minutes.
set -u
go=$1 bin=$2

# compile FOLDER WHAT PACKAGES… counts packages as they are compiled. What the go
# command says besides, such as an error, is passed on.
compile() {
	folder=$1 what=$2
	shift 2
	{
		(cd "$folder" && CGO_ENABLED=0 "$go" build -v -o "$bin/" "$@" 2>&1)
		echo "build ended with $?"
	} | awk -v what="$what" '
		function line(text) { printf (tty ? "\r\033[K  %s" : "  %s\n"), text; fflush() }
		BEGIN { tty = (system("test -t 1") == 0); line(what " …") }
		/^build ended with [0-9]+$/ { code = $4; next }
		/^go: downloading/ { d++; if (tty || d % 50 == 1) line(what ": " d " modules downloaded"); next }
		/^[^ :]+$/ { n++; if (tty || n % 100 == 0) line(what ": " n " packages compiled"); next }
		{ print (tty ? "\n" : "") $0 }
		END { line(what ": " (code ? "failed" : "done")); if (tty) print ""; exit code }'
}

mkdir -p "$bin" && bin=$(cd "$bin" && pwd) || exit
echo "Building. The first time takes two to four minutes, later ones seconds."
compile . "1/2 Chartpost, NATS, simulator" ./cmd/... || exit
compile internal/devstack/s3server "2/2 S3 server" . || exit
echo "Starting. Next: wait for four lines with \"accepted\"; then this screen says how to send a document of your own."
