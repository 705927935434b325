/* Logging to stderr, one line each: "LEVEL component: text". Level from tbmesh's --verbose or TBMESH_LOG (error|warn|info|debug).
 * Library code logs at debug at most (CONVENTIONS 16). Thread-safe. */
#ifndef TBMESH_BASE_LOG_H
#define TBMESH_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *component, enum log_level level); /* component: static string; environment may raise the level */
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
