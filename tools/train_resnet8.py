#!/usr/bin/python3
"""Trains ResNet-8 (three residual blocks of 16, 32 and 64 channels after a stem of stride 2) on
Fashion-MNIST and writes examples/resnet8.onnx. He et al., CVPR 2016. Usage: train_resnet8.py [OUT.onnx]"""
import sys

from torch import nn

import training


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.short = nn.Identity()
        if stride != 1 or channels != width:
            self.short = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False),
                                       nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.short(x))


def resnet8():
    return nn.Sequential(training.named([
        ("conv1", nn.Conv2d(1, 16, 3, 2, 1, bias=False)), ("bn1", nn.BatchNorm2d(16)),
        ("relu", nn.ReLU()),
        ("block1", Block(16, 16, 1)), ("block2", Block(16, 32, 2)), ("block3", Block(32, 64, 2)),
        ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("fc", nn.Linear(64, 10)),
    ]))


if __name__ == "__main__":
    training.start(seed=2016)
    model = resnet8()
    training.fit(model, training.fashion("train"), training.fashion("t10k"), epochs=2, rate=6e-3)
    training.export(model, (1, 28, 28), sys.argv[1] if len(sys.argv) > 1 else "examples/resnet8.onnx")
