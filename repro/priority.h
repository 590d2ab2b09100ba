/* priority.h - scheduling of the supervisor. */
#ifndef PRIORITY_H
#define PRIORITY_H

#include "settings.h"

/* Above the victims, if there are real-time ones; writes the `sched` record. */
void priority_raise(const struct settings *settings);

#endif
