#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the lab under systemd, as the boot after guest.sh: the same installed machine with the state
# that it left, in which a scheduler is kept. Starts the service with each setting of what becomes of
# it, and says what it saw in files in /out; test_service.py judges them.
set -u
# How long one step may take, seconds: more on a slow or busy machine. The fixed work is Python's start.
began=$(date +%s%N)
for each in 1 2 3 4 5; do /usr/bin/python3 -I -S -c pass; done
limit=$((90 * (1 + ($(date +%s%N) - began) / 2000000000)))

saw() {
	name=$1
	shift
	timeout "$limit" "$@" >"/out/$name.txt" 2>"/out/$name.err"
	echo $? >"/out/$name.status"
	echo "$name: $(cat "/out/$name.status")"
}
saw_become() { saw "$1" sh -c "until $2; do sleep 0.2; done"; }
status() { echo "schedpilot status --json | jq -e '$1'"; }

tree=$(pwd)
umount /usr/lib/schedpilot
tar -C / -xf stage.tar
echo /opt/schedpilot-venv/lib/python3.13/site-packages \
	>/usr/lib/schedpilot/venv/lib/python3.13/site-packages/dependencies.pth
export PATH=/usr/sbin:/usr/bin
cd /
saw register "$tree/packaging/register" add
# What was kept was kept for this profile.
saw power-start systemctl start power-profiles-daemon

# lives NAME SETTING CONDITION: a start with this setting and the state of the last boot.
lives() {
	rm -rf /var/lib/schedpilot
	tar -C / -xf "$tree/state.tar"
	tar -C /var/cache/schedpilot -xf "$tree/cache.tar"
	[ "$1" != kernel ] || {
		jq '(.regimes[].now.boot.kernel.release) = "6.99.0-another"' /var/lib/schedpilot/kept.json >/tmp/kept.json
		cp /tmp/kept.json /var/lib/schedpilot/kept.json
	}
	cat >/etc/schedpilot/schedpilot.toml <<-END
		[daemon]
		autonomy = "auto"
		interval_s = 0.5
		[detect]
		baseline_min = 5
		baseline_intervals = 5
		[prepare]
		enabled = false
		[keep]
		after_reboot = "$2"
	END
	saw "$1-start" systemctl start schedpilotd
	saw_become "$1-settled" "$(status "$3")"
	saw "$1-status" schedpilot status --json
	saw "$1-ops" cat /sys/kernel/sched_ext/root/ops
	journalctl --sync
	for event in put-back not-put-back trial-started; do
		saw "$1-$event" journalctl -t schedpilotd "SCHEDPILOT_EVENT=$event" -o json --no-pager
	done
	mv "/out/$1-trial-started.txt" "/out/$1-started.txt"
	saw "$1-stop" systemctl stop schedpilotd
}
lives load load '.loaded.why == "kept"'
lives no no '.kept == []'
lives kernel load '.loaded.why == "kept"'
lives trial trial '.kept[0].state == "trial"'
saw all journalctl -u schedpilotd --no-pager -o short-monotonic
