# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls by what a thread waits for in them. Pure data."""

_CLASSES: tuple[tuple[str, str], ...] = (
    (
        "locks",
        "futex futex_wait futex_waitv futex_wake futex_requeue set_robust_list flock semop "
        "semtimedop",
    ),
    (
        "events",
        "poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 epoll_ctl eventfd2 "
        "io_uring_enter io_getevents io_pgetevents inotify_add_watch signalfd4",
    ),
    (
        "timers",
        "nanosleep clock_nanosleep timerfd_settime timer_settime alarm pause rt_sigtimedwait "
        "rt_sigsuspend clock_gettime gettimeofday",
    ),
    (
        "network",
        "recvfrom sendto recvmsg sendmsg recvmmsg sendmmsg accept accept4 connect socket bind "
        "listen shutdown getsockopt setsockopt socketpair",
    ),
    (
        "storage",
        "fsync fdatasync sync syncfs sync_file_range msync pread64 pwrite64 preadv pwritev "
        "preadv2 pwritev2 io_submit fallocate copy_file_range sendfile readahead",
    ),
    ("reading and writing", "read write readv writev splice tee vmsplice"),
    (
        "files",
        "open openat openat2 close stat fstat lstat newfstatat statx access faccessat faccessat2 "
        "getdents64 lseek rename renameat2 unlink unlinkat mkdir mkdirat readlink readlinkat "
        "fcntl ioctl dup dup2 dup3 pipe2 chmod fchmod truncate ftruncate close_range utimensat",
    ),
    (
        "memory",
        "mmap munmap mprotect mremap brk madvise mlock munlock mincore membarrier "
        "process_madvise userfaultfd",
    ),
    (
        "processes",
        "clone clone3 fork vfork execve execveat exit exit_group wait4 waitid kill tgkill "
        "prctl arch_prctl set_tid_address getpid getppid gettid getuid geteuid getgid getegid "
        "setsid getpgrp getrusage rseq",
    ),
    (
        "scheduling",
        "sched_yield sched_setaffinity sched_getaffinity sched_setattr sched_setscheduler "
        "setpriority getcpu",
    ),
    ("signals", "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack"),
)
_OF = {name: kind for kind, names in _CLASSES for name in names.split()}


def class_of(call: str) -> str:
    """The class of a system call; `no system call` for the empty name: a page fault, or it was in
    one when the look began."""
    return _OF.get(call, "other") if call else "no system call"
