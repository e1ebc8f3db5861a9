/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record of why a scheduler ended. Same layout as in the kernel's tools and the scx
 * project, so that any loader can read any scheduler's record.
 */
#ifndef SCX_USER_EXIT_INFO_COMMON_H
#define SCX_USER_EXIT_INFO_COMMON_H

enum uei_sizes {
	UEI_REASON_LEN = 128,
	UEI_MSG_LEN = 1024,
	UEI_DUMP_DFL_LEN = 32768,
};

struct user_exit_info {
	int kind;      /* enum scx_exit_kind; 0 while it runs */
	s64 exit_code; /* action 63-48, reason 47-32, the scheduler's own 31-0 */
	char reason[UEI_REASON_LEN];
	char msg[UEI_MSG_LEN];
};

#endif /* SCX_USER_EXIT_INFO_COMMON_H */
