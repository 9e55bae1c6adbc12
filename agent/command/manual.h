/* SPDX-License-Identifier: Apache-2.0 */
/* manual: what is made of all commands' tables at once: the manual page, and completion for shells. */
#ifndef OBSAGENT_COMMAND_MANUAL_H
#define OBSAGENT_COMMAND_MANUAL_H

#include <stdbool.h>

/* obsagent.1 on stdout. */
void manual_print(void);
/* A script for "bash" or "zsh" on stdout; false: another shell. */
bool completion_print(const char *shell);
/* Has each command print itself: its --help=format. */
void manual_commands(const char *format);

#endif
