/* SPDX-License-Identifier: GPL-2.0-or-later */
#define preserve_access_index	     unused
#define bpf_core_field_exists(field) 1
#define bpf_core_field_size(field)   sizeof(field)
#define bpf_core_field_offset(field) ((char *)&(field) - (char *)task)
