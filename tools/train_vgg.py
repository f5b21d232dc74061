#!/usr/bin/python3
"""Trains a small VGG-like net (six 3x3 convolutions) on Fashion-MNIST and writes examples/vgg.onnx.
Simonyan and Zisserman, ICLR 2015. Usage: train_vgg.py [OUT.onnx]"""
import sys

from torch import nn

import training


def vgg():
    layers, channels = [], 1
    for block, width in enumerate((16, 32, 64), 1):
        for i in (1, 2):
            layers += [("conv%d_%d" % (block, i), nn.Conv2d(channels, width, 3, padding=1, bias=False)),
                       ("bn%d_%d" % (block, i), nn.BatchNorm2d(width)),
                       ("relu%d_%d" % (block, i), nn.ReLU())]
            channels = width
        layers.append(("pool%d" % block, nn.MaxPool2d(2)))
    layers += [("flatten", nn.Flatten()), ("fc1", nn.Linear(576, 128)), ("relu4", nn.ReLU()),
               ("dropout", nn.Dropout(0.3)), ("fc2", nn.Linear(128, 10))]
    return nn.Sequential(training.named(layers))


if __name__ == "__main__":
    training.start(seed=2015)
    model = vgg()
    training.fit(model, training.fashion("train"), training.fashion("t10k"), epochs=3, rate=4e-3)
    training.export(model, (1, 28, 28), sys.argv[1] if len(sys.argv) > 1 else "examples/vgg.onnx")
