/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one header a scheduler includes: <scx/common.bpf.h>.
 *
 * It has the include path and the names that sched_ext authors know, written for this
 * project, and works with the vmlinux.h of any kernel from 6.12 on. vmlinux.h is made on the
 * machine that will run the scheduler, so constants (SCX_*) come directly from the running
 * kernel; features that a kernel may lack are detected at load time, by BTF and weak ksyms.
 *
 *   kfuncs.bpf.h      what the kernel offers, declared
 *   util.bpf.h        verified indexing, arithmetic, time, READ_ONCE
 *   compat.bpf.h      one name for what differs between kernel versions
 *   cid.bpf.h         topological CPU ids and their masks (7.2)
 *   user_exit_info.bpf.h   how a scheduler reports its end to userspace
 */
#ifndef SCX_COMMON_BPF_H
#define SCX_COMMON_BPF_H

/*
 * bpftool writes kfunc prototypes into vmlinux.h too. They lack address spaces and the names
 * below with a ___suffix, so only ours are used.
 */
#define BPF_NO_KFUNC_PROTOTYPES

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-declarations"
#include "vmlinux.h"
#pragma clang diagnostic pop

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <asm-generic/errno.h>

/* Macros of the kernel's own headers, which BTF does not carry. */
#define PF_IDLE		0x00000002
#define PF_EXITING	0x00000004
#define PF_IO_WORKER	0x00000010
#define PF_WQ_WORKER	0x00000020
#define PF_KCOMPACTD	0x00010000
#define PF_KSWAPD	0x00020000
#define PF_KTHREAD	0x00200000
#define CLOCK_MONOTONIC 1
#ifndef NUMA_NO_NODE
#define NUMA_NO_NODE (-1)
#endif
/* Upper bound for loops and arrays over CPUs; not the actual number of CPUs. */
#ifndef NR_CPUS
#define NR_CPUS 1024
#endif

/* Filled in by libbpf at load time. */
extern int LINUX_KERNEL_VERSION __kconfig;
extern const char CONFIG_CC_VERSION_TEXT[64] __kconfig __weak;
extern const char CONFIG_LOCALVERSION[64] __kconfig __weak;
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif

_Static_assert((u64)SCX_DSQ_FLAG_BUILTIN != 0,
	       "vmlinux.h has lost the upper half of 64-bit enums: newer bpftool or pahole needed");

/* One callback of struct sched_ext_ops: `s32 BPF_STRUCT_OPS(name_select_cpu, args...)`. */
#define BPF_STRUCT_OPS(name, args...)                                                              \
	SEC("struct_ops/" #name)                                                                   \
	BPF_PROG(name, ##args)

/* The same for callbacks that may sleep (init, init_task, cgroup_init, exit ...). */
#define BPF_STRUCT_OPS_SLEEPABLE(name, args...)                                                    \
	SEC("struct_ops.s/" #name)                                                                 \
	BPF_PROG(name, ##args)

/* The scheduler itself: SCX_OPS_DEFINE(ops_var, .enqueue = (void *)..., .name = "..."). */
#define SCX_OPS_DEFINE(var, ...)                                                                   \
	SEC(".struct_ops.link")                                                                    \
	struct sched_ext_ops var = {__VA_ARGS__};

/* 7.2: the form whose callbacks get cids in place of CPU numbers. */
#define SCX_OPS_CID_DEFINE(var, ...)                                                               \
	SEC(".struct_ops.link")                                                                    \
	struct sched_ext_ops_cid var = {__VA_ARGS__};

/*
 * An array in its own data section, declared with one element, that userspace grows before
 * load (bpf_map__set_value_size). The simulator has no such sections and brings its own.
 */
#ifndef RESIZABLE_ARRAY
#define RESIZABLE_ARRAY(elfsec, arr) arr[1] SEC("." #elfsec "." #arr)
#endif

#include "bpf_arena_common.bpf.h"
#include "user_exit_info.bpf.h"
#include "kfuncs.bpf.h"
#include "util.bpf.h"
#include "compat.bpf.h"
#include "cid.bpf.h"

#endif /* SCX_COMMON_BPF_H */
