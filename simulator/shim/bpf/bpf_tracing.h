/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BPF_PROG: a callback takes its arguments from an array of u64s, here as in the kernel. */
#ifndef __BPF_TRACING_H__
#define __BPF_TRACING_H__

#define ___bpf_ctx_cast0()	     ctx
#define ___bpf_ctx_cast1(x)	     ___bpf_ctx_cast0(), (void *)ctx[0]
#define ___bpf_ctx_cast2(x, args...) ___bpf_ctx_cast1(args), (void *)ctx[1]
#define ___bpf_ctx_cast3(x, args...) ___bpf_ctx_cast2(args), (void *)ctx[2]
#define ___bpf_ctx_cast4(x, args...) ___bpf_ctx_cast3(args), (void *)ctx[3]
#define ___bpf_ctx_cast5(x, args...) ___bpf_ctx_cast4(args), (void *)ctx[4]
#define ___bpf_ctx_cast6(x, args...) ___bpf_ctx_cast5(args), (void *)ctx[5]
#define ___bpf_ctx_cast(args...)     ___bpf_apply(___bpf_ctx_cast, ___bpf_narg(args))(args)

#define BPF_PROG(name, args...)                                                                    \
	name(unsigned long long *ctx);                                                             \
	static __always_inline typeof(name(0)) ____##name(unsigned long long *ctx, ##args);        \
	typeof(name(0)) name(unsigned long long *ctx)                                              \
	{                                                                                          \
		_Pragma("GCC diagnostic push")                                                     \
		    _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") return ____##name(      \
			___bpf_ctx_cast(args));                                                    \
		_Pragma("GCC diagnostic pop")                                                      \
	}                                                                                          \
	static __always_inline typeof(name(0)) ____##name(unsigned long long *ctx, ##args)

#endif /* __BPF_TRACING_H__ */
