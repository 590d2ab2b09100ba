// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe - is CR0.TS clear or set when Xen calls a PV guest's #NM handler?
 *
 * What is tested
 *   A processor leaves CR0.TS set when an FPU instruction has trapped by it. Xen's interface to PV
 *   guests clears it before the guest's handler runs. Linux 2.6.26 to 4.1 can sleep in that
 *   handler, and relies on TS to be set meanwhile: registers of one task leak into another.
 *
 * How
 *   This program is a whole guest: a few kilobytes, no Linux. Each question sets TS, executes an
 *   FPU instruction, and looks from within its own #NM handler. A second #NM within the first one
 *   clears TS, so that every question ends.
 *
 * Expected
 *   question                                                    pv, dom0   a processor's
 *                                                               by Xen     (native, hvm, pvh)
 *   set      TS as read, after it was set                       set        set
 *   use      an FPU instruction then                            traps      traps
 *   handler  TS as read when the #NM handler begins             clear      set
 *   user     TS there, by smsw in the processor's user mode     clear      set
 *   again    a second FPU instruction, in the handler           passes     traps
 *   return   the same instruction, after a handler that did     passes     traps
 *            nothing
 *   halt     an FPU instruction in the handler, after a halt    passes     traps
 *   hidden   TS by smsw in the handler, after another vCPU ran  set: Xen's own, when it
 *                                                               switches lazily; clear when not
 *   switch   an FPU instruction in the handler, after that      passes     (pv, dom0 only)
 *   off      TS as read, after it was cleared                   clear      clear
 *   free     an FPU instruction then                            passes     passes
 *
 *   A Xen that leaves TS alone gives PV guests the column on the right, with `switch` traps
 *   and `hidden` set.
 *
 * TS is set and cleared by fpu_taskswitch in a PV guest, elsewhere by a write to CR0 and by CLTS.
 * A PV guest's kernel runs in the processor's user mode: its smsw shows the processor's own TS,
 * also what Xen has set for itself, and its read of CR0 shows the guest's.
 */
#include "asm.h"
#include "machine.h"
#include "record.h"
#include "text.h"

enum { FORMAT = 1, ENDS = 3 /* how often the last record is written: others may tear it */ };

typedef void step(void);

static u32 traps; /* #NM since the question began */
static step *in_handler;
static u32 answers;

/* What the handler saw of the question under way. */
static struct {
	bool began, ts, again, word_known, ran;
	u32 word;
} seen;

static void no_device(void)
{
	/* Only the first trap is the question. A further one lets its instruction pass. */
	if (traps++)
		machine_clear_ts();
	else if (in_handler)
		in_handler();
}

void trap(struct frame *frame, u32 vector)
{
	struct record record;

	if (vector == NO_DEVICE) {
		no_device();
		return;
	}
	record_begin(&record, "fault");
	record_number(&record, "vector", vector);
	record_hex(&record, "error", frame->error);
	record_hex(&record, "ip", frame->ip);
	record_write(&record);
	machine_end(true);
}

static bool traps_on_use(void)
{
	const u32 before = traps;

	asm_use_fpu();
	return traps != before;
}

/* One FPU instruction with TS set; `handler` runs in its trap. Did it trap at all? */
static bool ask(step *handler)
{
	bool trapped;

	for (u32 i = 0; i < sizeof(seen); i++)
		((u8 *)&seen)[i] = 0;
	in_handler = handler;
	machine_set_ts();
	traps = 0;
	trapped = traps_on_use();
	machine_clear_ts();
	return trapped;
}

static void answer(const char *question, const char *word)
{
	struct record record;

	record_begin(&record, "answer");
	record_word(&record, "question", question);
	record_word(&record, "seen", word);
	record_number(&record, "traps", traps);
	if (seen.word_known)
		record_hex(&record, "smsw", seen.word);
	record_write(&record);
	answers++;
}

static void answer_ts(const char *question, bool ts)
{
	answer(question, ts ? "set" : "clear");
}

static void answer_use(const char *question, bool trapped)
{
	answer(question, trapped ? "traps" : "passes");
}

static void answer_word(const char *question)
{
	answer(question, !seen.word_known ? "refused" : seen.word & CR0_TS ? "set" : "clear");
}

static void look(void)
{
	seen.began = true;
	seen.ts = machine_reads_ts();
	seen.word_known = machine_user_word(&seen.word);
	seen.again = traps_on_use();
	machine_clear_ts();
}

static void leave(void)
{
}

static void halt(void)
{
	seen.ran = machine_halt();
	seen.again = traps_on_use();
	machine_clear_ts();
}

static void let_other_run(void)
{
	seen.ran = machine_other_run();
	seen.word_known = machine_user_word(&seen.word);
	seen.again = traps_on_use();
	machine_clear_ts();
}

static void ask_handler(void)
{
	bool trapped;

	machine_set_ts();
	traps = 0;
	answer_ts("set", machine_reads_ts());
	trapped = ask(look);
	answer_use("use", trapped);
	if (!trapped)
		return; /* No handler, nothing to say about it. */
	answer_ts("handler", seen.ts);
	answer_word("user");
	answer_use("again", seen.again);
}

static void ask_return(void)
{
	if (ask(leave))
		answer_use("return", traps > 1);
}

static void ask_halt(void)
{
	if (ask(halt) && seen.ran)
		answer_use("halt", seen.again);
}

static void ask_switch(void)
{
	if (!machine_other_begin())
		return;
	if (ask(let_other_run) && seen.ran) {
		answer_word("hidden");
		answer_use("switch", seen.again);
	}
	machine_other_end();
}

static void ask_off(void)
{
	bool ts;

	in_handler = machine_clear_ts;
	machine_set_ts();
	machine_clear_ts();
	ts = machine_reads_ts();
	traps = 0;
	asm_use_fpu();
	seen.word_known = false;
	answer_ts("off", ts);
	answer_use("free", traps);
}

/* The value of the word probe.run=... */
static void add_run(struct record *record, const char *command)
{
	const char *word = text_find(command, "probe.run=");
	char run[32];
	u32 used = 0;

	for (word = word ? text_after(word, "probe.run=") : ""; *word > ' ' && used < 31; word++)
		run[used++] = *word;
	run[used] = '\0';
	record_word(record, "run", run);
}

static void begin(const struct about *about)
{
	struct record record;

	record_begin(&record, "start");
	record_number(&record, "version", FORMAT);
	add_run(&record, about->command);
	record_word(&record, "kind", about->kind);
	record_key(&record, "xen");
	if (about->xen) {
		record_digits(&record, about->xen >> 16);
		record_text(&record, ".");
		record_digits(&record, about->xen & 0xffff);
		record_text(&record, about->extra);
	} else {
		record_text(&record, "none");
	}
	record_write(&record);
}

NORETURN void probe(const struct about *about)
{
	record_on_console(true);
	begin(about);
	ask_handler();
	ask_return();
	ask_halt();
	ask_switch();
	ask_off();
	for (u32 i = 0; i < ENDS; i++) {
		struct record record;

		record_begin(&record, "end");
		record_word(&record, "status", "ok");
		record_number(&record, "answers", answers);
		record_write(&record);
	}
	machine_end(false);
}
