#!/usr/bin/python3
"""Trains LeNet-5 on Fashion-MNIST and writes examples/lenet5.onnx (61,706 parameters).
LeCun et al., Proc. IEEE 1998, with ReLU and max pools. Usage: train_lenet5.py [OUT.onnx]"""
import sys
from collections import OrderedDict

from torch import nn

import training


def lenet5():
    return nn.Sequential(OrderedDict([
        ("conv1", nn.Conv2d(1, 6, 5, padding=2)), ("relu1", nn.ReLU()), ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(400, 120)), ("relu3", nn.ReLU()),
        ("fc2", nn.Linear(120, 84)), ("relu4", nn.ReLU()),
        ("fc3", nn.Linear(84, 10)),
    ]))


if __name__ == "__main__":
    training.start(seed=1998)
    model = lenet5()
    training.fit(model, training.fashion("train"), training.fashion("t10k"), epochs=15, rate=3e-3)
    training.export(model, (1, 28, 28), sys.argv[1] if len(sys.argv) > 1 else "examples/lenet5.onnx")
