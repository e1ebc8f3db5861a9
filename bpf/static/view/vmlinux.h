/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The macros of a real vmlinux.h, without the kernel's types: the check needs names, not
 * layouts.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__
#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef __bpf_fastcall
#define __bpf_fastcall
#endif
#endif
