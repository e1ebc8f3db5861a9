/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The helpers that signals.bpf.c calls; native.c defines them. */
#define SEC(name)
#undef __always_inline
#define __always_inline	    inline
#define __noinline	    __attribute__((noinline))
#define __ksym		    __asm__("native_queue")
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

void *bpf_task_storage_get(void *map, struct task_struct *task, void *first, __u64 flags);
void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_map_pop_elem(void *map, void *value);
long bpf_map_push_elem(void *map, const void *value, __u64 flags);
long bpf_probe_read_kernel(void *to, __u32 size, const void *from);
long bpf_probe_read_kernel_str(void *to, __u32 size, const void *from);
long bpf_probe_read_user(void *to, __u32 size, const void *from);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_ktime_get_boot_ns(void);
struct task_struct *bpf_get_current_task_btf(void);
void *bpf_ringbuf_reserve(void *map, __u64 size, __u64 flags);
void bpf_ringbuf_submit(void *event, __u64 flags);
__u64 bpf_ringbuf_query(void *map, __u64 flags);
long bpf_get_func_ret(void *context, __u64 *value);
long bpf_seq_write(void *seq, const void *data, __u32 size);
#define bpf_this_cpu_ptr(variable) ((void *)(variable))
