#!/usr/bin/python3
"""Writes tests/data/mixed.onnx: a small net with random weights that has, after its convolutions, the
operators which the trained examples lack. Needs python3-onnx and python3-numpy."""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(3)
nodes, weights = [], []


def const(name, *shape, lo=-0.5, hi=0.5):
    weights.append(numpy_helper.from_array(rng.uniform(lo, hi, shape).astype(np.float32), name))
    return name


def node(op, inputs, output, **attrs):
    nodes.append(helper.make_node(op, inputs, output if isinstance(output, list) else [output],
                                  name=output if isinstance(output, str) else output[0], **attrs))


node("Conv", ["image", const("w1", 8, 1, 3, 3), const("b1", 8)], "conv1", pads=[1, 1, 1, 1])
node("BatchNormalization", ["conv1", const("s", 8, lo=0.5, hi=2), const("b", 8), const("m", 8),
                            const("v", 8, lo=0.1, hi=1)], "bn")
node("Sigmoid", ["bn"], "gate")
node("Mul", ["bn", "gate"], "silu")
node("AveragePool", ["silu"], "average", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
node("MaxPool", ["silu"], "maximum", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
node("Concat", ["average", "maximum"], "concat", axis=1)
node("Conv", ["concat", const("w2", 16, 1, 3, 3), const("b2", 16)], "conv2", group=16,
     pads=[2, 2, 2, 2], dilations=[2, 2])
node("PRelu", ["conv2", const("slope", 16, 1, 1, lo=0, hi=0.3)], "prelu")
node("Add", ["prelu", "concat"], "residual")
node("Split", ["residual"], ["left", "right"], axis=1)
node("Sub", ["left", const("shift", 8, 1, 1)], "shifted")
node("HardSwish", ["right"], "swish")
node("Max", ["shifted", "swish"], "larger")
node("ConvTranspose", ["larger", const("w3", 8, 6, 2, 2)], "up", strides=[2, 2])
node("Conv", ["up", const("w4", 12, 6, 3, 3), const("b4", 12)], "conv3", strides=[2, 2])
node("Clip", ["conv3", "zero", "six"], "relu6")
weights += [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(6), "six")]
node("GlobalAveragePool", ["relu6"], "pooled")
node("GlobalMaxPool", ["relu6"], "peaks")
node("Add", ["pooled", "peaks"], "both")
node("Mul", ["relu6", "both"], "attended")
node("ReduceMean", ["attended"], "mean", axes=[2, 3], keepdims=0)
node("Gemm", ["mean", const("w5", 10, 12), const("b5", 10)], "scores", transB=1)
graph = helper.make_graph(nodes, "mixed",
                          [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 28, 28])],
                          [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
onnx.checker.check_model(model)
onnx.save(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "mixed.onnx"))
