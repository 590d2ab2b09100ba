// SPDX-License-Identifier: GPL-2.0-or-later
/* sys.c - system calls, by number, for both tables. */
#include "sys.h"

#include "asm.h"
#include "text.h"

#ifdef __x86_64__
enum {
	NR_READ = 0, NR_WRITE = 1, NR_OPEN = 2, NR_CLOSE = 3, NR_MMAP = 9, NR_MUNMAP = 11,
	NR_IOCTL = 16, NR_SCHED_YIELD = 24, NR_DUP2 = 33, NR_GETPID = 39,
	NR_FORK = 57, NR_WAIT4 = 61, NR_KILL = 62, NR_UNAME = 63, NR_MKDIR = 83,
	NR_SYSLOG = 103, NR_SETPGID = 109, NR_GETPPID = 110, NR_MKNOD = 133,
	NR_SCHED_SETSCHEDULER = 144, NR_MLOCKALL = 151, NR_PRCTL = 157, NR_MOUNT = 165,
	NR_REBOOT = 169, NR_SCHED_SETAFFINITY = 203, NR_SCHED_GETAFFINITY = 204,
	NR_FUTEX = 202, NR_EXIT_GROUP = 231,
};
#else
enum {
	NR_FORK = 2, NR_READ = 3, NR_WRITE = 4, NR_OPEN = 5, NR_CLOSE = 6, NR_MKNOD = 14,
	NR_GETPID = 20, NR_MOUNT = 21, NR_KILL = 37, NR_MKDIR = 39, NR_IOCTL = 54,
	NR_SETPGID = 57, NR_DUP2 = 63, NR_GETPPID = 64, NR_REBOOT = 88, NR_MMAP = 90,
	NR_MUNMAP = 91, NR_SYSLOG = 103, NR_WAIT4 = 114, NR_UNAME = 122,
	NR_MLOCKALL = 152, NR_SCHED_SETSCHEDULER = 156, NR_SCHED_YIELD = 158,
	NR_PRCTL = 172, NR_SCHED_SETAFFINITY = 241, NR_SCHED_GETAFFINITY = 242,
	NR_FUTEX = 240, NR_EXIT_GROUP = 252,
};
#endif

enum {
	O_RDWR = 2,
	WNOHANG = 1,
	SIGKILL = 9,
	PR_SET_PDEATHSIG = 1,
	SCHED_ORDINARY = 0,
	SCHED_FIFO = 1,
	PROT_READ_WRITE = 3,
	MAP_SHARED_ANONYMOUS = 0x21,
	MAP_PRIVATE_ANONYMOUS = 0x22,
	MCL_CURRENT = 1,
	SYSLOG_READ_ALL = 3,
	SYSLOG_CONSOLE_OFF = 6,
	FUTEX_WAKE = 1,
	TCSBRK = 0x5409,
	CONSOLE_NODE_MODE = 0020600,
	CONSOLE_DEVICE = 5 << 8 | 1,
	CPU_WORDS = 1024 / (8 * sizeof(long)),
};

static long call(long number, long a, long b, long c, long d, long e)
{
	return asm_syscall(number, a, b, c, d, e);
}

static long address(const void *pointer)
{
	return (long)pointer;
}

void sys_exit(int code)
{
	for (;;)
		call(NR_EXIT_GROUP, code, 0, 0, 0, 0);
}

int sys_fork(void)
{
	return (int)call(NR_FORK, 0, 0, 0, 0, 0);
}

int sys_getpid(void)
{
	return (int)call(NR_GETPID, 0, 0, 0, 0, 0);
}

int sys_getppid(void)
{
	return (int)call(NR_GETPPID, 0, 0, 0, 0, 0);
}

int sys_kill(int pid, int signal_number)
{
	return (int)call(NR_KILL, pid, signal_number, 0, 0, 0);
}

int sys_setpgid(int pid, int group)
{
	return (int)call(NR_SETPGID, pid, group, 0, 0, 0);
}

int sys_reap(int pid, int *status, bool wait)
{
	return (int)call(NR_WAIT4, pid, address(status), wait ? 0 : WNOHANG, 0, 0);
}

void sys_die_with_parent(void)
{
	call(NR_PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

void *sys_map(u32 bytes, bool shared)
{
	long flags = shared ? MAP_SHARED_ANONYMOUS : MAP_PRIVATE_ANONYMOUS;
	unsigned long where;
#ifdef __x86_64__
	where = (unsigned long)asm_syscall6(NR_MMAP, 0, bytes, PROT_READ_WRITE, flags, -1, 0);
#else
	const long arguments[6] = { 0, (long)bytes, PROT_READ_WRITE, flags, -1, 0 };

	where = (unsigned long)call(NR_MMAP, address(arguments), 0, 0, 0, 0);
#endif
	return where > -4096UL ? NULL : (void *)where;
}

void sys_unmap(void *where, u32 bytes)
{
	call(NR_MUNMAP, address(where), (long)bytes, 0, 0, 0);
}

void sys_own_memory(void)
{
	call(NR_MLOCKALL, MCL_CURRENT, 0, 0, 0, 0);
}

void sys_wake(const u32 *word)
{
	call(NR_FUTEX, address(word), FUTEX_WAKE, 1, 0, 0);
}

void sys_yield(void)
{
	call(NR_SCHED_YIELD, 0, 0, 0, 0, 0);
}

bool sys_schedule(u32 priority)
{
	const int parameter = (int)priority;

	const long policy = priority ? SCHED_FIFO : SCHED_ORDINARY;

	return call(NR_SCHED_SETSCHEDULER, 0, policy, address(&parameter), 0, 0) == 0;
}

bool sys_pin(int cpu)
{
	unsigned long mask[CPU_WORDS];
	const u32 bits = 8 * sizeof(mask[0]);

	for (u32 word = 0; word < CPU_WORDS; word++)
		mask[word] = 0;
	mask[(u32)cpu / bits] = 1UL << (u32)cpu % bits;
	return call(NR_SCHED_SETAFFINITY, 0, sizeof(mask), address(mask), 0, 0) == 0;
}

u32 sys_cpus_allowed(void)
{
	unsigned long mask[CPU_WORDS];
	const long bytes = call(NR_SCHED_GETAFFINITY, 0, sizeof(mask), address(mask), 0, 0);
	u32 count = 0;

	for (long word = 0; word < bytes / (long)sizeof(mask[0]); word++)
		for (unsigned long left = mask[word]; left; left &= left - 1)
			count++;
	return count;
}

int sys_write(int fd, const void *from, u32 bytes)
{
	return (int)call(NR_WRITE, fd, address(from), (long)bytes, 0, 0);
}

int sys_read_file(const char *path, char *into, u32 size)
{
	const int fd = (int)call(NR_OPEN, address(path), 0, 0, 0, 0);
	u32 used = 0;
	long got;

	into[0] = '\0';
	if (fd < 0)
		return fd;
	do {
		got = call(NR_READ, fd, address(into + used), (long)(size - 1 - used), 0, 0);
		if (got > 0)
			used += (u32)got;
	} while (got > 0 && used < size - 1);
	call(NR_CLOSE, fd, 0, 0, 0, 0);
	into[used] = '\0';
	return (int)used;
}

bool sys_write_file(const char *path, const char *text)
{
	const int fd = (int)call(NR_OPEN, address(path), O_RDWR, 0, 0, 0);
	const u32 bytes = text_length(text);
	int written;

	if (fd < 0)
		return false;
	written = sys_write(fd, text, bytes);
	call(NR_CLOSE, fd, 0, 0, 0, 0);
	return written == (int)bytes;
}

int sys_mount(const char *type, const char *where)
{
	call(NR_MKDIR, address(where), 0755, 0, 0, 0);
	return (int)call(NR_MOUNT, address(type), address(where), address(type), 0, 0);
}

int sys_kernel_log(char *into, u32 size)
{
	const long got = call(NR_SYSLOG, SYSLOG_READ_ALL, address(into), (long)size - 1, 0, 0);

	into[got > 0 ? got : 0] = '\0';
	return (int)got;
}

void sys_quiet_kernel(void)
{
	call(NR_SYSLOG, SYSLOG_CONSOLE_OFF, 0, 0, 0, 0);
}

void sys_uname(struct sys_name *name)
{
	char raw[6][65]; /* sysname, nodename, release, version, machine, domainname */

	raw[2][0] = raw[3][0] = '\0';
	call(NR_UNAME, address(raw), 0, 0, 0, 0);
	text_copy(name->release, raw[2], sizeof(name->release));
	text_copy(name->version, raw[3], sizeof(name->version));
}

void sys_open_console(void)
{
	long fd;

	if (sys_write(1, "", 0) == 0)
		return; /* the kernel has opened /dev/console for us */
	fd = call(NR_OPEN, address("/dev/console"), O_RDWR, 0, 0, 0);
	if (fd < 0) {
		call(NR_MKDIR, address("/dev"), 0755, 0, 0, 0);
		call(NR_MKNOD, address("/dev/console"), CONSOLE_NODE_MODE, CONSOLE_DEVICE, 0, 0);
		fd = call(NR_OPEN, address("/dev/console"), O_RDWR, 0, 0, 0);
	}
	if (fd >= 0)
		call(NR_DUP2, fd, 1, 0, 0, 0);
}

void sys_drain_console(void)
{
	call(NR_IOCTL, 1, TCSBRK, 1, 0, 0);
}

static void end_system(int how)
{
	const long magic1 = (long)(int)0xfee1dead;
	const long magic2 = 672274793;

	call(NR_REBOOT, magic1, magic2, how, 0, 0);
}

void sys_reboot(void)
{
	end_system(0x01234567);
}

void sys_power_off(void)
{
	end_system(0x4321fedc);
	end_system((int)0xcdef0123); /* or at least halt */
	for (;;)
		sys_sleep(1000000);
}
