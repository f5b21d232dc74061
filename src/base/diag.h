/* How a failure travels: functions return OK or a negative enum status and say why in the
 * struct diag passed last. The first failure fills it; callers add nothing and pass it up;
 * only cli/ prints. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

enum status {
    OK = 0,
    ERR_INPUT = -1,       /* what was read is wrong: file, shape, option value */
    ERR_UNSUPPORTED = -2, /* right, but not something Sievert does */
    ERR_IO = -3,          /* the system refused: no such file, disk full */
    ERR_NOMEM = -4,
    ERR_INTERRUPTED = -5, /* the user asked to stop */
};

/* A place in an input. line and col count from 1; 0 means unknown. file may be NULL. */
struct loc {
    const char *file;
    int line, col;
};

struct diag {
    enum status code;
    int line, col;
    char file[256]; /* a copy: a diag outlives the input it speaks of; "" if there is none */
    char msg[768];  /* room for the names of all implementations */
};

/* Fill d, unless an earlier failure already has, and return code. d may be NULL. */
int diag_fail(struct diag *d, enum status code, struct loc at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same without a place. */
#define DIAG_NOWHERE ((struct loc){0})

#endif
