/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sys.h - the system calls this program needs, and no more.
 *
 * Every one of them exists in Linux 2.6.26 and still in 7.x, in the 64-bit and in the
 * 32-bit table. Results are the kernel's: negative is -errno.
 */
#ifndef SYS_H
#define SYS_H

#include "types.h"

enum { CPU_ANY = -1 };

NORETURN void sys_exit(int code);
int sys_fork(void);
int sys_getpid(void);
int sys_getppid(void);
int sys_kill(int pid, int signal_number);
int sys_setpgid(int pid, int group);
/* Reaps one child without waiting, or waiting; any child when pid is -1. */
int sys_reap(int pid, int *status, bool wait);
/* The caller is killed when its parent ends: nothing outlives the supervisor. */
void sys_die_with_parent(void);

/* Memory that survives fork as one memory (shared) or as a copy. NULL when it fails. */
void *sys_map(u32 bytes, bool shared);
void sys_unmap(void *where, u32 bytes);
/* Copies now what is still shared with children of a fork: a later write needs no new page. */
void sys_own_memory(void);

/* Microseconds of CLOCK_MONOTONIC. */
u64 sys_now(void);
void sys_sleep(u32 microseconds);
void sys_yield(void);
/* Sleeps until sys_wake() on this shared word, unless it is no longer `value`. */
void sys_wait(const u32 *word, u32 value, u32 microseconds);
/* Wakes one sleeper. */
void sys_wake(const u32 *word);

/* Real-time, or with priority 0 the ordinary policy. Children inherit it. */
bool sys_schedule(u32 priority);
bool sys_pin(int cpu);
u32 sys_cpus_allowed(void);

int sys_write(int fd, const void *from, u32 bytes);
/* Reads a whole file (at most size - 1 bytes) and ends it with a zero; bytes read or -errno. */
int sys_read_file(const char *path, char *into, u32 size);
bool sys_write_file(const char *path, const char *text);
int sys_mount(const char *type, const char *where);
/* The kernel's log, oldest first, ended with a zero; bytes or -errno (not allowed). */
int sys_kernel_log(char *into, u32 size);
/* The kernel says nothing more on its console, unless it dies. */
void sys_quiet_kernel(void);

struct sys_name {
	char release[65];
	char version[65];
};
void sys_uname(struct sys_name *name);

/* fds 0 to 2 are a console afterwards where that is possible at all (PID 1). */
void sys_open_console(void);
void sys_drain_console(void);
void sys_reboot(void);
NORETURN void sys_power_off(void);

#endif
