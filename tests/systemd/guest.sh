#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the lab under systemd, in a folder with what `make install` staged. Installs it, uses the
# service as an operator would, removes it again. Says what it saw in files in /out, one a step;
# test_service.py judges them.
set -u
tree=$(pwd)
# How long one step may take, seconds: more on a slow or busy machine. The fixed work is Python's start.
began=$(date +%s%N)
for each in 1 2 3 4 5; do /usr/bin/python3 -I -S -c pass; done
limit=$((90 * (1 + ($(date +%s%N) - began) / 2000000000)))

# saw NAME COMMAND...: its output in NAME.txt, its exit status in NAME.status. No step hangs the rest.
saw() {
	name=$1
	shift
	timeout "$limit" "$@" >"/out/$name.txt" 2>"/out/$name.err"
	echo $? >"/out/$name.status"
	echo "$name: $(cat "/out/$name.status")"
}

# saw_become NAME CONDITION: the same, waiting until the shell's CONDITION holds.
saw_become() { saw "$1" sh -c "until $2; do sleep 0.2; done"; }

# The lab's own copy of the helpers stands where the installed ones go.
umount /usr/lib/schedpilot
tar -C / -xf stage.tar
mkdir -p /var/cache/schedpilot
tar -C /var/cache/schedpilot -xf cache.tar
# The lab's environment has the dependencies; nothing can be downloaded here.
echo /opt/schedpilot-venv/lib/python3.13/site-packages \
	>/usr/lib/schedpilot/venv/lib/python3.13/site-packages/dependencies.pth
export PATH=/usr/sbin:/usr/bin
cd /

saw register "$tree/packaging/register" add
saw verify systemd-analyze verify /usr/lib/systemd/system/schedpilotd.service \
	/usr/lib/systemd/system/schedpilot-agent.service
saw security systemd-analyze security --no-pager --threshold=30 schedpilotd.service
saw security-agent systemd-analyze security --no-pager --threshold=30 schedpilot-agent.service

saw start systemctl start schedpilotd
if [ "$(cat /out/start.status)" != 0 ]; then
	journalctl -u schedpilotd --no-pager -n 60
	exit 1
fi
saw status schedpilot status --json
saw observe-stranger setpriv --reuid=65534 --regid=65534 --clear-groups schedpilot status --json
saw control-stranger setpriv --reuid=65534 --regid=65534 --clear-groups schedpilot rollback
saw sockets stat -c '%n %a %U %G' /run/schedpilot/observe.sock /run/schedpilot/control.sock

# Load one by hand, then go back: the record that an administrator looks for.
saw run schedpilot run fifo
saw state-loaded cat /sys/kernel/sched_ext/state
saw ops-loaded cat /sys/kernel/sched_ext/root/ops
saw gates schedpilot check fifo --json
saw probe schedpilot probe syscalls --seconds 2 --json
saw uprobe schedpilot probe uprobe --binary /usr/bin/redis-server --enter processCommand --seconds 1 --json
runner=$(pgrep -x schedpilot-runn)
saw runner chrt -p "$runner"
grep -E '^(VmLck|VmRSS|CapEff):' "/proc/$runner/status" >>/out/runner.txt
saw build-user-files find /var/cache/schedpilot /var/lib/schedpilot -newermt '2000-01-01' -printf '%u:%g %m %p\n'
saw rollback schedpilot rollback --reason 'the test asks for it'
saw state-rolled-back cat /sys/kernel/sched_ext/state
journalctl --sync
saw journal journalctl -t schedpilotd SCHEDPILOT_EVENT=rollback -o json --no-pager
saw explained journalctl -t schedpilotd SCHEDPILOT_EVENT=rollback -x --no-pager

# What its measures read, in the sandbox of its unit: once without and once with the group that may
# read the journal.
systemd-run --quiet --unit=shop sh -c 'while :; do echo "GET /a took 12.5 ms"; sleep 0.1; done'
cat >/etc/schedpilot/agent.toml <<'END'
[[measure]]
name = "shop-latency"
journal = { unit = "shop.service", pattern = "took ([0-9.]+) ms" }
take = "p99"
unit = "ms"
END
unit=/etc/systemd/system/schedpilot-agent.service.d
mkdir -p $unit
measured() {
	printf '%s\n' '[Service]' 'ExecStart=' Restart=no Type=oneshot "StandardOutput=file:/out/$1.txt" \
		"ExecStart=/usr/bin/schedpilot measure test --seconds $2 --json" "$3" >$unit/test.conf
	systemctl daemon-reload
	saw "$1-started" systemctl start schedpilot-agent
}
measured measure-closed 3 ''
measured measure-open 10 SupplementaryGroups=systemd-journal
systemctl stop shop
rm -r $unit /etc/schedpilot/agent.toml
systemctl daemon-reload
systemctl reset-failed schedpilot-agent

# The advisor comes up beside it, as its own user.
saw agent-start systemctl start schedpilot-agent
saw agent-active systemctl is-active schedpilot-agent
saw agent-user ps -o user:32= -p "$(systemctl show -P MainPID schedpilot-agent)"

# Killed with a scheduler loaded: the kernel's own comes back by itself, then the daemon.
saw run-again schedpilot run fifo
killed=$(systemctl show -P MainPID schedpilotd)
systemctl kill --kill-whom=main --signal=KILL schedpilotd
saw_become disabled-after-kill 'grep -qx disabled /sys/kernel/sched_ext/state'
saw_become restarted "! systemctl show -P MainPID schedpilotd | grep -qxE '0|$killed'"
saw_become answers 'schedpilot status'

# A power profile, by the real service on the system bus, is a regime with its own kept scheduler.
status() { echo "schedpilot status --json | jq -e '$1'"; }
profile() {
	saw "$1" busctl set-property org.freedesktop.UPower.PowerProfiles /org/freedesktop/UPower/PowerProfiles \
		org.freedesktop.UPower.PowerProfiles ActiveProfile s "$2"
}
saw power-start systemctl start power-profiles-daemon
saw_become power-seen "$(status '.power == "balanced"')"
saw keep /usr/lib/schedpilot/venv/bin/python "$tree/keeps.py" fifo
saw state-kept cat /sys/kernel/sched_ext/state
profile power-saver power-saver
saw_become power-saver-seen "$(status '.power == "power-saver" and .loaded == null')"
saw state-saver cat /sys/kernel/sched_ext/state
saw status-saver schedpilot status --json
profile power-balanced balanced
saw_become power-back "$(status '.power == "balanced" and .loaded.why == "kept"')"

# Killed with a kept scheduler: the next daemon puts it back, under all restrictions.
killed=$(systemctl show -P MainPID schedpilotd)
systemctl kill --kill-whom=main --signal=KILL schedpilotd
saw_become restarted-kept "! systemctl show -P MainPID schedpilotd | grep -qxE '0|$killed'"
saw_become put-back "$(status '.loaded.why == "kept"')"
saw ops-put-back cat /sys/kernel/sched_ext/root/ops
journalctl --sync
saw journal-put-back journalctl -t schedpilotd SCHEDPILOT_EVENT=put-back -o json --no-pager
saw journal-power journalctl -t schedpilotd SCHEDPILOT_EVENT=power-regime -o json --no-pager

# Stopped with it loaded: what was there before is back when `stop` returns.
saw stop systemctl stop schedpilotd
saw state-stopped cat /sys/kernel/sched_ext/state
saw result systemctl show -P Result schedpilotd
# For the next boot (guest_reboot.sh).
tar -C / --exclude=var/cache/schedpilot/simulators -cf /out/state.tar var/lib/schedpilot var/cache/schedpilot
saw all journalctl -u schedpilotd -u schedpilot-agent --no-pager -o short-monotonic

cd "$tree"
saw uninstall make uninstall
tar -tf stage.tar | grep -v '/$' | while read -r file; do
	[ ! -e "/$file" ] || echo "/$file"
done >/out/left.txt
