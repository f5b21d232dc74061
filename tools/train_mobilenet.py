#!/usr/bin/python3
"""Trains a small MobileNetV2-like net (inverted residuals with depthwise convolutions and ReLU6) on
Fashion-MNIST and writes examples/mobilenet.onnx. Sandler et al., CVPR 2018.
Usage: train_mobilenet.py [OUT.onnx]"""
import sys

from torch import nn

import training


class Inverted(nn.Module):
    def __init__(self, channels, width, stride, expand=4):
        super().__init__()
        inner = channels * expand
        self.expand = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.depthwise = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.project = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.act = nn.ReLU6()
        self.keep = stride == 1 and channels == width

    def forward(self, x):
        y = self.act(self.bn1(self.expand(x)))
        y = self.act(self.bn2(self.depthwise(y)))
        y = self.bn3(self.project(y))
        return x + y if self.keep else y


def mobilenet():
    return nn.Sequential(training.named([
        ("conv1", nn.Conv2d(1, 16, 3, 2, 1, bias=False)), ("bn1", nn.BatchNorm2d(16)),
        ("act1", nn.ReLU6()),
        ("block1", Inverted(16, 16, 1)), ("block2", Inverted(16, 24, 2)), ("block3", Inverted(24, 24, 1)),
        ("block4", Inverted(24, 32, 1)), ("block5", Inverted(32, 32, 1)),
        ("conv2", nn.Conv2d(32, 96, 1, bias=False)), ("bn2", nn.BatchNorm2d(96)), ("act2", nn.ReLU6()),
        ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("fc", nn.Linear(96, 10)),
    ]))


if __name__ == "__main__":
    training.start(seed=2018)
    model = mobilenet()
    training.fit(model, training.fashion("train"), training.fashion("t10k"), epochs=2, rate=8e-3)
    training.export(model, (1, 28, 28), sys.argv[1] if len(sys.argv) > 1 else "examples/mobilenet.onnx")
