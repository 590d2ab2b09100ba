# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab under attack: consoles, processes and the machine are damaged, each truth known."""
