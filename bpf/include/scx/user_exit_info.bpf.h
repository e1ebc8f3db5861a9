/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UEI_DEFINE(uei) at file scope, UEI_RECORD(uei, ei) in ops.exit().
 *
 * The debug dump goes into its own resizable section, `.data.uei_dump`; the loader sets its
 * size and sets `uei_dump_len` to match before load. Without that, one byte is written.
 */
#ifndef SCX_USER_EXIT_INFO_BPF_H
#define SCX_USER_EXIT_INFO_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "user_exit_info_common.h"

#define UEI_DEFINE(name)                                                                           \
	char RESIZABLE_ARRAY(data, name##_dump);                                                   \
	const volatile u32 name##_dump_len;                                                        \
	struct user_exit_info name SEC(".data")

/* `kind` is written last, with a full barrier: a reader that sees it set sees the rest. */
#define UEI_RECORD(name, ei)                                                                       \
	({                                                                                         \
		bpf_probe_read_kernel_str(name.reason, sizeof(name.reason), (ei)->reason);         \
		bpf_probe_read_kernel_str(name.msg, sizeof(name.msg), (ei)->msg);                  \
		bpf_probe_read_kernel_str(name##_dump, name##_dump_len, (ei)->dump);               \
		if (bpf_core_field_exists((ei)->exit_code))                                        \
			name.exit_code = (ei)->exit_code;                                          \
		__sync_val_compare_and_swap(&name.kind, name.kind, (ei)->kind);                    \
	})

#endif /* SCX_USER_EXIT_INFO_BPF_H */
