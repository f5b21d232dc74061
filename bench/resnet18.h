/* A ResNet-18 for 3 x 32 x 32 as an ONNX file, for its speed: He-scaled random weights,
 * BatchNormalization folded into the convolutions as exporters do. He et al., CVPR 2016, with the
 * stem for small images. */
#ifndef BENCH_RESNET18_H
#define BENCH_RESNET18_H

#include "base/diag.h"

/* The same seed gives the same file. */
int resnet18_write(const char *path, unsigned seed, struct diag *d);

#endif
