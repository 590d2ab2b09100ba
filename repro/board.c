// SPDX-License-Identifier: GPL-2.0-or-later
/* board.c - 32-bit counters, which both word sizes can add to in one instruction. */
#include "board.h"

void board_count(u32 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

u32 board_read(const u32 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Failed checks come in swarms, so rates are computed from windows. */
static void hit(struct board *board)
{
	const u32 window = board_read(&board->windows) + 1;

	if (__atomic_exchange_n(&board->last_hit, window, __ATOMIC_SEQ_CST) != window)
		board_count(&board->hits);
}

void board_check(struct board *board, enum role role, const struct finding *failed)
{
	if (failed) {
		const u32 at = __atomic_fetch_add(&board->found, 1, __ATOMIC_SEQ_CST);

		if (at < FINDINGS) {
			board->finding[at] = *failed;
			board->finding[at].windows = board_read(&board->windows);
			__atomic_store_n(&board->finding[at].complete, 1, __ATOMIC_SEQ_CST);
		}
		board_count(&board->corruptions[role]);
		for (u32 file = 0; file < FILES; file++)
			if (failed->files >> file & 1)
				board_count(&board->corrupt_files[file]);
		hit(board);
	}
	board_count(&board->checks[role]);
}

void board_try(struct board *board, struct lane *lane, u32 window, bool failed)
{
	if (__atomic_exchange_n(&lane->last_tried, window, __ATOMIC_SEQ_CST) == window)
		return;
	board_count(&board->tried);
	if (failed)
		board_count(&board->struck);
}

void board_tally(struct tally *tally, bool failed)
{
	if (failed)
		board_count(&tally->corruptions);
	board_count(&tally->checks);
}

void board_tally_record(struct record *record, const char *key, const struct tally *tally)
{
	record_number(record, key, board_read(&tally->checks));
	record_text(record, "/");
	record_digits(record, board_read(&tally->corruptions));
}

u32 board_checks(const struct board *board)
{
	return board_read(&board->checks[VICTIM]) + board_read(&board->checks[OPENER]);
}

u32 board_corruptions(const struct board *board)
{
	return board_read(&board->corruptions[VICTIM]) + board_read(&board->corruptions[OPENER]);
}
