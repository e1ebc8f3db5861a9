// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Serves one request after the other: 3 ms each, asleep. `serve` calls itself once. Around each one
 * are markers as <sys/sdt.h> writes them, with a semaphore that says whether somebody looks.
 */

#include <stdio.h>
#include <time.h>

unsigned short shop_looked_at __attribute__((section(".probes")));

#define MARKER(name)                                                                               \
	__asm__ volatile("990: nop\n"                                                              \
			 ".pushsection .note.stapsdt,\"?\",\"note\"\n"                             \
			 ".balign 4\n"                                                             \
			 ".4byte 992f-991f, 994f-993f, 3\n"                                        \
			 "991: .asciz \"stapsdt\"\n"                                               \
			 "992: .balign 4\n"                                                        \
			 "993: .8byte 990b\n"                                                      \
			 ".8byte _.stapsdt.base\n"                                                 \
			 ".8byte shop_looked_at\n"                                                 \
			 ".asciz \"shop\"\n"                                                       \
			 ".asciz \"" name "\"\n"                                                   \
			 ".asciz \"\"\n"                                                           \
			 "994: .balign 4\n"                                                        \
			 ".popsection\n"                                                           \
			 ".ifndef _.stapsdt.base\n"                                                \
			 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"   \
			 ".weak _.stapsdt.base\n"                                                  \
			 ".hidden _.stapsdt.base\n"                                                \
			 "_.stapsdt.base: .space 1\n"                                              \
			 ".size _.stapsdt.base, 1\n"                                               \
			 ".popsection\n"                                                           \
			 ".endif\n")

/* Known by its bytes: where it lies in the file can be checked. */
__asm__(".globl known\n.type known,@function\nknown: .byte 0x0f,0x1f,0x40,0x2a,0xc3\n"
	".size known, .-known\n");

__attribute__((noinline)) void serve(int again)
{
	struct timespec pause = {.tv_nsec = 3000000};

	if (again) {
		serve(0);
		return;
	}
	MARKER("request__start");
	nanosleep(&pause, NULL);
	MARKER("request__done");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int number = 1;; number++) {
		serve(1);
		printf("%d %d\n", number, shop_looked_at);
	}
}
