// SPDX-License-Identifier: GPL-2.0-or-later
/* Obscure failures of the kernel and libbpf in plain words: the cause, and what to do. */
#include <errno.h>
#include <string.h>

#include "runner/runner.h"

/* Matched against the log, first hit wins; so causes come before their consequences. */
static const struct {
	const char *needle;
	struct explanation means;
} in_log[] = {
    {"incompatible with vmlinux",
     {"the running kernel's BTF describes a kfunc wrongly (built with pahole before 1.26)",
      "boot another kernel: `schedpilot doctor` says which kfuncs are malformed"}},
    {"not found in kernel or module BTFs",
     {"the scheduler calls a function this kernel does not have",
      "use the names of <scx/common.bpf.h>, or ask with bpf_ksym_exists() first"}},
    {"but wasn't resolved",
     {"the scheduler calls a function this kernel does not have, or has with another signature",
      "ask with bpf_ksym_exists() first; `schedpilot doctor` lists malformed kfuncs"}},
    {"unknown func",
     {"the scheduler calls a helper that this kernel or this kind of program does not have",
      "use another helper, or a newer kernel"}},
    {"calling kernel function",
     {"a kfunc is called in a callback where the kernel does not allow it",
      "move the call: the log names the function and the callback"}},
    {"BPF program is too large",
     {"the verifier gave up: too many paths through the program",
      "shorten loops, use bpf_for(), or hide counters from the verifier with __sink()"}},
    {"The sequence of",
     {"the verifier gave up: the jumps are too complex",
      "use bpf_for() for loops and fewer branches inside them"}},
    {"infinite loop detected",
     {"the verifier cannot see that a loop ends",
      "use bpf_for(i, 0, n) or bpf_repeat(n), or add `can_loop` to the condition"}},
    {"back-edge",
     {"the verifier does not accept this loop", "use bpf_for(i, 0, n) or bpf_repeat(n)"}},
    {"Unreleased reference",
     {"something acquired is not released on every path",
      "release it (bpf_task_release, bpf_cpumask_release, scx_bpf_put_...) before returning"}},
    {"_or_null'",
     {"a pointer that may be NULL is used without a test",
      "test it: `if (!p) return ...;` directly after the call that gave it"}},
    {"invalid access to map value",
     {"an index into a map value or array may be out of bounds",
      "check it against the size, or use ARRAY_ELEM_PTR() / MEMBER_VPTR()"}},
    {"invalid mem access 'scalar'",
     {"a number is used as a pointer, or a pointer has lost its type",
      "keep pointers in their own typed variables; read foreign memory by BPF_CORE_READ()"}},
    {"min value is negative",
     {"an index or size may be negative", "make it unsigned and check it against its upper bound"}},
    {"unbounded memory access",
     {"an index or size has no upper bound the verifier can see",
      "compare it with the bound directly before the access"}},
    {"!read_ok", {"a variable is used before it has a value", "initialise it"}},
    {"combined stack size",
     {"the functions need more than 512 bytes of stack together",
      "move big variables into a per-CPU array map"}},
    {"must point to scalar, or struct with scalar",
     {"a kfunc got a pointer of another type than it takes",
      "compare the call with its declaration in scx/kfuncs.bpf.h"}},
    {"Must have \"GPL\"",
     {"the scheduler has no GPL licence, which these functions ask for",
      "add: char _license[] SEC(\"license\") = \"GPL\";"}},
    {"GPL-restricted",
     {"the scheduler has no GPL licence, which these functions ask for",
      "add: char _license[] SEC(\"license\") = \"GPL\";"}},
    {"failed to find BTF info for struct_ops/sched_ext_ops",
     {"this kernel has no sched_ext", "boot a kernel with CONFIG_SCHED_CLASS_EXT=y"}},
    {"struct sched_ext_ops is not found in kernel BTF",
     {"this kernel has no sched_ext", "boot a kernel with CONFIG_SCHED_CLASS_EXT=y"}},
    {"is not found in kernel BTF",
     {"the scheduler uses a struct_ops type this kernel does not have",
      "boot a newer kernel, or use struct sched_ext_ops"}},
    {"is not found in type",
     {"the scheduler sets a callback or field this kernel does not have",
      "leave it out, or boot a newer kernel"}},
};

struct explanation explain(const struct failure *fail, const char *log)
{
	if (!strcmp(fail->stage, "open")) {
		if (fail->error == ENOENT)
			return (struct explanation){"there is no such file", "check the path"};
		if (fail->error == EACCES || fail->error == EPERM)
			return (struct explanation){"the file may not be read", "check its mode"};
		return (struct explanation){"it is not a BPF object with a scheduler",
					    "give the .bpf.o file that clang -target bpf made"};
	}
	if (!strcmp(fail->stage, "set"))
		return (struct explanation){"the parameter cannot be set this way",
					    "--describe lists names, types and defaults"};
	if (!strcmp(fail->stage, "load"))
		for (size_t i = 0; i < sizeof(in_log) / sizeof(*in_log); i++)
			if (strstr(log, in_log[i].needle) ||
			    strstr(fail->message, in_log[i].needle))
				return in_log[i].means;
	if (fail->error == EBUSY)
		return (struct explanation){
		    "another scheduler is attached; the kernel takes one at a time",
		    "stop it first, or leave it alone: see /sys/kernel/sched_ext/root/ops"};
	if (fail->error == EPERM || fail->error == EACCES)
		return (struct explanation){
		    "capabilities are missing, or the verifier refused",
		    "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN"};
	if (fail->error == EINVAL && cpus_isolated())
		return (struct explanation){
		    "CPUs are isolated at boot (isolcpus=), with which sched_ext does not enable",
		    "boot without isolcpus=, or use cpusets"};
	if (fail->error == EOPNOTSUPP || fail->error == ENOTSUP)
		return (struct explanation){
		    "the kernel does not support what the scheduler asks for",
		    "see the message and the kernel's log"};
	if (fail->error == ENOMEM || fail->error == E2BIG)
		return (struct explanation){"the scheduler is too large for the kernel",
					    "make its maps or programs smaller"};
	if (!strcmp(fail->stage, "enable"))
		return (struct explanation){
		    "the kernel accepted the scheduler and ejected it while enabling it",
		    "see the exit record: reason and message"};
	if (!strcmp(fail->stage, "load"))
		return (struct explanation){"the verifier refused the scheduler",
					    "the last lines of the log name the instruction"};
	return (struct explanation){"the kernel refused the scheduler", "see the kernel's log"};
}

/* enum scx_exit_kind; later kernels may add to it. */
const char *exit_kind_name(int kind)
{
	switch (kind) {
	case 0:
		return "none";
	case 1:
		return "done";
	case 64:
		return "unregistered";
	case 65:
		return "unregistered-by-bpf";
	case 66:
		return "unregistered-by-kernel";
	case 67:
		return "sysrq";
	case 68:
		return "parent";
	case 1024:
		return "error";
	case 1025:
		return "error-bpf";
	case 1026:
		return "error-stall";
	default:
		return kind >= 1024 ? "error-other" : "other";
	}
}
