/* The study's YAML file. Private to study/. */
#ifndef STUDY_CONFIG_H
#define STUDY_CONFIG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

struct study_config {
    char *title, *network, *dataset, *fault;
    char *layout;              /* of the layers' tensors in the GPU's memory */
    uint64_t image;            /* whose activations the layers get, unless: */
    uint64_t images_per_class; /* 0, or so many of each class are taken, in turn */
    uint64_t injections;       /* per layer x implementation */
    uint64_t errors;           /* simulated per layer x implementation, direct and again by model */
    uint64_t images;           /* that errors are simulated on: the first so many */
    uint64_t seed;
    double epsilon;                   /* of the characterisation behind the models */
    char **layers, **implementations; /* no layers: all convolutions */
    unsigned layers_count, implementations_count;
};

/* Read and complete with defaults; network becomes relative to the working directory. In a. */
int config_load(struct study_config *out, struct arena *a, const char *path, struct diag *d);
/* The epsilons at which campaigns label: 0, 1e-6, and the models' or else 1e-3. */
void config_epsilons(double out[3], const struct study_config *c);
/* As JSON, for the study's folder. */
json_t *config_json(const struct study_config *c);
/* From that JSON, in a; ERR_INPUT if fields are missing. */
int config_from_json(struct study_config *out, struct arena *a, const json_t *j, const char *path,
                     struct diag *d);

#endif
