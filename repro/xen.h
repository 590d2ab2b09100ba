/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen.h - are we under Xen, as which kind of domain, and how do we know? */
#ifndef XEN_H
#define XEN_H

#include "environment.h"

/* Fills xen, xen_how, xen_version and dom0; `log` is the kernel's, empty when not readable. */
void xen_read(struct environment *environment, const char *log);

#endif
