// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fpucheck - does a kernel keep a task's FPU registers through everything but the window?
 *
 * The control kernel makes the FPU lazy again (images/control). Its one mistake must be the
 * one it is meant to have: natively, and as an HVM or PVH guest, each step here must hold.
 *
 *   step      what happens while the registers hold a pattern         must hold afterwards
 *   signal    a handler overwrites them, sleeps, returns              the pattern
 *   edit      a handler changes the registers in its signal frame     what the handler wrote
 *   clear     a handler hands back no registers at all                the initial state
 *   fork      fork, the child looks, overwrites them and ends         the pattern, in both
 *   exec      the image is replaced with odd control words set        the default control words
 *   ptrace    a tracer reads and replaces a stopped child's           what the tracer wrote
 *   children  SIGCHLD handlers run while the parent sleeps             the pattern
 *   crowd     many tasks sleep and yield at once                      each its own pattern
 *
 * Prints "fpucheck ok|BAD step=..." lines and powers off when it is PID 1. An ordinary static
 * libc program on purpose: its own string code uses SSE, as everybody's does.
 */
#include <linux/reboot.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define N 16
struct registers { uint64_t xmm[N][2]; };

static char self[64] = "/proc/self/exe";
static int failures;

/* The pattern of one seed: never zero, different in every register. */
static void fill(struct registers *r, uint64_t seed)
{
	for (int i = 0; i < N; i++) {
		r->xmm[i][0] = (seed << 32) | 0xf00d0000u | i;
		r->xmm[i][1] = ~r->xmm[i][0];
	}
}

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) \
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD(n) "movdqu " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n\t"
#define LOSES "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
	"xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "rcx", "r11", "memory"

static void load(const struct registers *in)
{
	asm volatile(EACH(LOAD) : : [in] "r"(in) : LOSES);
}

/* The pattern goes in, one system call happens, what is there is stored: no C in between. */
static long across(long number, long a, long b, const struct registers *in, struct registers *out)
{
	long result;

	asm volatile(EACH(LOAD) "syscall\n\t" EACH(STORE)
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), [in] "r"(in), [out] "r"(out)
		     : LOSES);
	return result;
}

static void check(const char *step, const struct registers *want, const struct registers *got)
{
	for (int i = 0; i < N; i++) {
		if (want->xmm[i][0] == got->xmm[i][0] && want->xmm[i][1] == got->xmm[i][1])
			continue;
		printf("fpucheck BAD step=%s pid=%d xmm%d want=%016llx got=%016llx\n", step, getpid(),
		       i, (long long)want->xmm[i][0], (long long)got->xmm[i][0]);
		fflush(stdout);
		failures++;
		return;
	}
}

static void nap(long us)
{
	struct timespec t = { 0, us * 1000 };

	nanosleep(&t, NULL);
}

static volatile int mode;	/* of the handler: 0 overwrite, 1 edit, 2 clear */

static void handler(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	struct registers r;

	(void)number, (void)info;
	fill(&r, 0xbad);
	load(&r);
	nap(300);
	if (mode == 1) {
		fill(&r, 0xed17);
		memcpy(u->uc_mcontext.fpregs->_xmm, &r, sizeof(r));
	} else if (mode == 2) {
		u->uc_mcontext.fpregs = NULL;
	}
}

static void reap(int number)
{
	struct registers r;

	(void)number;
	fill(&r, 0xc1d);
	load(&r);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void result_of(int pid, const char *step)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid || status) {
		printf("fpucheck BAD step=%s child %d status=%x\n", step, pid, status);
		failures++;
	}
}

static void signals(int turn)
{
	struct registers in, want, got;
	static const char *const names[] = { "signal", "edit", "clear" };

	for (mode = 0; mode < 3; mode++) {
		fill(&in, turn + 1);
		memset(&want, 0, sizeof(want));
		if (mode < 2)
			fill(&want, mode ? 0xed17 : turn + 1);
		across(SYS_kill, getpid(), SIGUSR1, &in, &got);
		check(names[mode], &want, &got);
	}
	mode = 0;
}

static void fork_once(int turn)
{
	struct registers in, got;
	int pid, parent = getpid();

	fill(&in, 0x1000 + turn);
	pid = across(SYS_fork, 0, 0, &in, &got);
	if (pid < 0)
		exit(4);
	check("fork", &in, &got);
	if (getpid() != parent) {
		nap(200);
		fill(&in, 0x2000 + turn);
		load(&in);
		_exit(failures != 0);
	}
	result_of(pid, "fork");
}

static void exec_once(void)
{
	int pid = fork();

	if (!pid) {
		unsigned mxcsr = 0x9fc0;	/* flush to zero, denormals are zero */
		unsigned short control = 0x0c7f;	/* single precision, towards zero */

		asm volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(control));
		execl(self, "fpucheck", "after-exec", NULL);
		_exit(4);
	}
	result_of(pid, "exec");
}

static int after_exec(void)
{
	unsigned mxcsr;
	unsigned short control;

	asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(control));
	return mxcsr != 0x1f80 || control != 0x37f;
}

static void ptrace_once(int turn)
{
	struct user_fpregs_struct f;
	struct registers in, want, got;
	int status, pid = fork();

	fill(&in, 0x3000 + turn);
	fill(&want, 0x4000 + turn);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		across(SYS_kill, getpid(), SIGSTOP, &in, &got);
		check("ptrace-write", &want, &got);
		_exit(failures != 0);
	}
	waitpid(pid, &status, 0);
	if (ptrace(PTRACE_GETFPREGS, pid, 0, &f))
		failures++;
	check("ptrace-read", &in, (struct registers *)f.xmm_space);
	memcpy(f.xmm_space, &want, sizeof(want));
	if (ptrace(PTRACE_SETFPREGS, pid, 0, &f) || ptrace(PTRACE_CONT, pid, 0, 0))
		failures++;
	result_of(pid, "ptrace");
}

/* What an init with a SIGCHLD handler lives through. */
static void children(int turn)
{
	struct registers in, got;
	struct timespec t = { 0, 20000000 };

	signal(SIGCHLD, reap);
	for (int i = 0; i < 3; i++) {
		if (!fork()) {
			nap(i * 2000);
			_exit(0);
		}
	}
	fill(&in, 0x5000 + turn);
	for (int i = 0; i < 4; i++) {
		across(SYS_nanosleep, (long)&t, 0, &in, &got);
		check("children", &in, &got);
	}
	signal(SIGCHLD, SIG_DFL);
	while (wait(NULL) > 0)
		;
}

static void crowd(void)
{
	struct registers in, got;
	struct timespec t = { 0, 100000 };
	int pids[8];

	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int turn = 0; turn < 400; turn++) {
			fill(&in, 0x10000 + i * 0x1000 + turn);
			across(turn % 3 ? SYS_nanosleep : SYS_sched_yield, (long)&t, 0, &in, &got);
			check("crowd", &in, &got);
		}
		_exit(failures != 0);
	}
	for (int i = 0; i < 8; i++)
		result_of(pids[i], "crowd");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	int turns = 20;

	if (argc > 1 && !strcmp(argv[1], "after-exec"))
		return after_exec();
	if (getpid() == 1) {
		mount("proc", "/proc", "proc", 0, NULL);
		strcpy(self, "/init");
	}
	sigaction(SIGUSR1, &action, NULL);
	for (int turn = 0; turn < turns; turn++) {
		signals(turn);
		fork_once(turn);
		exec_once();
		ptrace_once(turn);
		if (turn % 5 == 0)
			children(turn);
	}
	crowd();
	printf("fpucheck %s failures=%d\n", failures ? "BAD" : "ok", failures);
	fflush(stdout);
	if (getpid() == 1) {
		sync();
		reboot(LINUX_REBOOT_CMD_POWER_OFF);
		for (;;)
			pause();
	}
	return failures != 0;
}
