# SPDX-License-Identifier: GPL-2.0-or-later
"""Which helpers and kernel functions a scheduler may call, and what to use instead of others.

Everything that our headers declare is allowed, because schedulers are written with it. From
libbpf's helpers those that read time, tasks and the scheduler's own maps; none that reads or writes
user memory, sends signals, or affects anything but scheduling.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bpf.paths import INCLUDE, SHARED

_HELPERS = frozenset(  # as a table
    f"bpf_{name}"
    for name in (  # noqa: SIM905
        # maps
        "map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem map_peek_elem "
        "map_lookup_percpu_elem for_each_map_elem per_cpu_ptr this_cpu_ptr "
        "task_storage_get task_storage_delete cgrp_storage_get cgrp_storage_delete kptr_xchg "
        # loops, locks, timers
        "loop spin_lock spin_unlock timer_init timer_set_callback timer_start timer_cancel "
        # time and place
        "ktime_get_ns ktime_get_boot_ns ktime_get_coarse_ns ktime_get_tai_ns jiffies64 "
        "get_smp_processor_id get_numa_node_id get_prandom_u32 "
        # tasks
        "get_current_task get_current_task_btf get_current_pid_tgid get_current_uid_gid "
        "get_current_comm get_current_cgroup_id get_current_ancestor_cgroup_id "
        "current_task_under_cgroup get_ns_current_pid_tgid get_attach_cookie "
        # talking with the scheduler's own userspace
        "ringbuf_output ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query "
        "ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr user_ringbuf_drain "
        "dynptr_from_mem dynptr_read dynptr_write dynptr_data "
        # kernel memory and text
        "probe_read_kernel probe_read_kernel_str snprintf strncmp strtol strtoul "
        # debugging; a warning is given if it is called often
        "printk trace_printk trace_vprintk"
    ).split()
)

# Families of kernel functions. Later kernels have those that kfuncs.bpf.h lacks.
_KFUNCS = re.compile(
    r"_*scx_bpf_\w+|bpf_(?:cpumask|iter|list|rbtree|obj|percpu_obj|refcount|arena|wq|dynptr|rcu_read"
    r"|res_spin|preempt|local_irq|task|cgroup|cpu|core|ksym|str\w*cmp\w*|str\w*str|strlen|strnlen"
    r"|strchr|memset|copy_from_kernel|kptr|cast_to_kern_ctx|rdonly_cast|throw|get_kmem_cache"
    r"|timer_cancel_async|stream|htobe\w*|ntoh\w*|hton\w*|cmp_likely|cmp_unlikely|nop_mov)\w*"
)
_BUILTINS = re.compile(
    r"__(?:builtin|sync|atomic|c11_atomic)_\w+|__COMPAT_\w+|__bpf_\w+|___bpf_\w+"
)

_OWN_WORDS = re.compile(r"\b[A-Za-z_]\w*(?=\s*\()")


@dataclass(frozen=True)
class RefusedFunction:
    """Why a function is refused, and what to use."""

    why: str
    instead: str


_BEYOND = RefusedFunction("it is not for schedulers", "leave it out")
_REFUSED = {
    "bpf_probe_write_user": RefusedFunction(
        "it writes into the memory of programs",
        "leave it out; inform your own userspace with a map or bpf_ringbuf_output()",
    ),
    "bpf_override_return": RefusedFunction("it changes what system calls return", "leave it out"),
    "bpf_send_signal": RefusedFunction(
        "it sends signals to programs",
        "schedule the task less instead: a smaller weight, a shorter slice, a later queue",
    ),
    "bpf_tail_call": RefusedFunction(
        "nobody could predict what the scheduler does then", "call an ordinary function"
    ),
    "bpf_kallsyms_lookup_name": RefusedFunction(
        "it reads addresses of the kernel",
        "declare what you need `extern … __ksym`, or use BPF_CORE_READ()",
    ),
    "bpf_sys_bpf": RefusedFunction("it makes system calls", "use maps that the object declares"),
    "bpf_sys_close": RefusedFunction("it makes system calls", "use maps that the object declares"),
    "crash_kexec": RefusedFunction(
        "it stops the machine", "use scx_bpf_error() to end the scheduler"
    ),
    "bpf_perf_event_output": RefusedFunction(
        "perf buffers are read by nobody here", "use bpf_ringbuf_output()"
    ),
    "bpf_get_stack": RefusedFunction("it reads the memory of programs", "leave it out"),
    "bpf_get_stackid": RefusedFunction("it reads the memory of programs", "leave it out"),
    "bpf_get_task_stack": RefusedFunction("it reads the memory of programs", "leave it out"),
    "bpf_probe_read": RefusedFunction(
        "it does not say whose memory it reads", "use BPF_CORE_READ() or bpf_probe_read_kernel()"
    ),
    "bpf_probe_read_str": RefusedFunction(
        "it does not say whose memory it reads", "use bpf_probe_read_kernel_str()"
    ),
    "printf": RefusedFunction("there is no libc", "use bpf_printk() while trying things out"),
    "malloc": RefusedFunction("there is no libc", "use a map, task storage or bpf_obj_new()"),
    "free": RefusedFunction("there is no libc", "use bpf_obj_drop() for what bpf_obj_new() made"),
    "sleep": RefusedFunction("a scheduler may not sleep", "use a bpf_timer"),
    "usleep": RefusedFunction("a scheduler may not sleep", "use a bpf_timer"),
    "system": RefusedFunction("there is no libc", "leave it out"),
}
_REFUSED_FAMILIES = (
    (
        re.compile(r"bpf_(probe_read_user|copy_from_user)\w*"),
        RefusedFunction(
            "it reads the memory of programs",
            "a scheduler knows tasks by p->comm, p->pid, cgroup and its own measurements",
        ),
    ),
    (re.compile(r"bpf_send_signal\w*"), _REFUSED["bpf_send_signal"]),
    (
        re.compile(r"bpf_(skb|xdp|sk|sock|msg|tcp|lwt|csum|fib|xfrm|sysctl|lirc|rc|crypto)_\w+"),
        _BEYOND,
    ),
)


@lru_cache(maxsize=1)
def _declared() -> frozenset[str]:
    """Functions that our headers declare or define, except code that schedulers share."""
    headers = [path for path in sorted(INCLUDE.rglob("*.h")) if path.parent != SHARED]
    text = "\n".join(path.read_text("utf-8") for path in headers)
    return frozenset(_OWN_WORDS.findall(text))


@lru_cache(maxsize=1)
def _libbpf() -> frozenset[str]:
    """All helpers that libbpf knows."""
    try:
        text = Path("/usr/include/bpf/bpf_helper_defs.h").read_text("utf-8")
    except OSError:
        return frozenset()
    return frozenset(re.findall(r"\(\s*\*\s*(?:const\s+)?(bpf_\w+)\s*\)\s*\(", text))


def refused(name: str, *, kernel: Iterable[str]) -> RefusedFunction | None:
    """Why a function may not be called; None if it may, or if the compiler will report it.

    Args:
        kernel: functions that the source itself declares as the kernel's (__ksym).
    """
    if name in _REFUSED:
        return _REFUSED[name]
    if name in _HELPERS:
        return None
    for pattern, why in _REFUSED_FAMILIES:
        if pattern.fullmatch(name):
            return why
    if name in _declared() or _BUILTINS.fullmatch(name):
        return None
    if name in _libbpf():
        return RefusedFunction(
            "this helper is not for schedulers",
            "leave it out; what schedulers need is in <scx/common.bpf.h>",
        )
    if _KFUNCS.fullmatch(name):
        return None
    if name in kernel:
        return RefusedFunction(
            "this kernel function is not for schedulers",
            "use what <scx/common.bpf.h> declares",
        )
    return None


def is_offered(name: str) -> bool:
    """Whether a function is one of those that a scheduler may call."""
    return name in _HELPERS or name in _declared() or _BUILTINS.fullmatch(name) is not None


def available_headers() -> frozenset[str]:
    """Names of headers that a source may include."""
    headers = list(INCLUDE.rglob("*.h"))
    own = {str(path.relative_to(INCLUDE)) for path in headers}
    # From their own folder, as the kernel's own headers do.
    own |= {path.name for path in headers if path.parent != SHARED}
    libbpf = ("bpf_helpers", "bpf_core_read", "bpf_tracing", "bpf_endian", "bpf_helper_defs")
    return frozenset(
        {
            *own,
            "vmlinux.h",
            *(f"bpf/{name}.h" for name in libbpf),
            "asm-generic/errno.h",
            "linux/types.h",
            "errno.h",
            "stdbool.h",
            "stddef.h",
            "stdint.h",
        }
    )
