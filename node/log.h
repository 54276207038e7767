/* The one place that prints what happens, to stderr, with the time. Never bodies, keys or tokens: ids, names, reasons. */
#ifndef FM_NODE_LOG_H
#define FM_NODE_LOG_H

enum fm_log_level { FM_LOG_ERROR = 1, FM_LOG_WARN, FM_LOG_INFO, FM_LOG_DEBUG };

/* Lines above this level are not written; FM_LOG_INFO at the start. */
void fm_log_level_set(enum fm_log_level level);
/* One line; control bytes in it (a peer may have chosen part of the text) are shown as '?'. */
void fm_log(enum fm_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for the person at the terminal, without level and time: "ready    0 records". */
void fm_log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
