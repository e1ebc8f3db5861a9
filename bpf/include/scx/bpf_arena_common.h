/* SPDX-License-Identifier: GPL-2.0-only */
/* The userspace half of bpf_arena_common.bpf.h: the same annotations, meaning nothing. */
#ifndef SCX_BPF_ARENA_COMMON_H
#define SCX_BPF_ARENA_COMMON_H

#ifndef __BPF__
#define __arena
#define __arg_arena
#define cast_kern(ptr)
#define cast_user(ptr)
#endif

#endif /* SCX_BPF_ARENA_COMMON_H */
