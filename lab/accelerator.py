# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds out which accelerator boots the guest's kernel here, by booting it.

/dev/kvm may exist, answer, and still not run an ordinary kernel (nested and partial implementations
do that), so only a boot counts. The verdict is stored for this kernel, host kernel and CPU.
"""

import json
import os
import platform
from contextlib import suppress
from pathlib import Path

from lab.cache import Root, cache_folder
from lab.machine import Accelerator, LabMachine, Mode, Port, boot, failure

KVM = Path("/dev/kvm")
# A working KVM boots to the initramfs in about one second.
KVM_PROBE_S = 10.0
# Emulation on a busy machine is slow.
TCG_PROBE_S = 120.0


def chosen(root: Root) -> Accelerator:
    """The accelerator for this root on this host, from the stored verdict or by a probe.

    Raises:
        Fault: see `lab.machine.boot`.
    """
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Accelerator.TCG
    verdicts = _verdicts()
    key = f"{root.release} | {platform.release()} | {_cpu_model()}"
    if key not in verdicts:
        works = _probe(root, Accelerator.KVM, KVM_PROBE_S)
        verdicts[key] = Accelerator.KVM if works else Accelerator.TCG
        with suppress(OSError):  # The cache belongs to another user: the probe is just repeated.
            _verdict_file().write_text(json.dumps(verdicts, indent=2) + "\n")
    return Accelerator(verdicts[key])


def learn(root: Root) -> None:
    """Boot a new root's kernel once, and store its types beside it.

    Raises:
        Fault: if the kernel boots with no accelerator.
    """
    btf = bytearray()
    accelerator = chosen(root)
    end = boot(
        LabMachine(root, accelerator, Mode.PROBE, cpus=1),
        timeout=TCG_PROBE_S,
        boot_timeout=TCG_PROBE_S,
        outputs={Port.RESULTS: btf.extend},
    )
    if end.status != 0 or not btf:
        raise failure(end)
    root.btf.write_bytes(btf)


def _probe(root: Root, accelerator: Accelerator, timeout: float) -> bool:
    machine = LabMachine(root, accelerator, Mode.PROBE, cpus=1)
    return boot(machine, timeout=timeout, boot_timeout=timeout, outputs={}).status == 0


def _verdict_file() -> Path:
    return cache_folder() / "accelerators.json"


def _verdicts() -> dict[str, str]:
    try:
        known = json.loads(_verdict_file().read_text())
    except (OSError, ValueError):
        return {}
    names = {str(each) for each in Accelerator}
    return {key: value for key, value in known.items() if value in names}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
