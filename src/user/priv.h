/* Inside of user: the launch and its arguments as JSON, for stores. */
#ifndef USER_PRIV_H
#define USER_PRIV_H

#include "user/user.h"

struct user_dims {
    int rank; /* 0: no file */
    size_t dim[TENSOR_MAX_RANK];
};
struct user_saved {
    size_t n_data;
    const float *data;
    struct user_dims *dims; /* by argument */
};
/* In a. */
const char *user_save(struct arena *a, const char *file, const struct user_args *args,
                      const struct user_program *p);
/* What points into out is in a. */
int user_load(struct user_args *out, struct user_saved *saved, const char **file, struct arena *a,
              const char *json, struct diag *d);

#endif
