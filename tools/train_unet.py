#!/usr/bin/python3
"""Trains a small U-Net to segment Fashion-MNIST: each pixel of a noisy image is background or one of
the ten kinds of clothes. Writes examples/unet.onnx, which gives 11 scores per pixel; the score printed
is the mean intersection over union. Ronneberger et al., MICCAI 2015. Usage: train_unet.py [OUT.onnx]"""
import sys

import torch
from torch import nn

import training

CLASSES, THRESHOLD, NOISE = 11, 0.1, 0.1


def double(channels, width):
    return nn.Sequential(training.named([
        ("conv1", nn.Conv2d(channels, width, 3, padding=1, bias=False)), ("bn1", nn.BatchNorm2d(width)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(width, width, 3, padding=1, bias=False)), ("bn2", nn.BatchNorm2d(width)),
        ("relu2", nn.ReLU())]))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = double(1, 8), double(8, 16), double(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.join2, self.join1 = double(32, 16), double(16, 8)
        self.head = nn.Conv2d(8, CLASSES, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.bottom(self.pool(b))
        d = self.join2(torch.cat([self.up2(c), b], 1))
        return self.head(self.join1(torch.cat([self.up1(d), a], 1)))


def task(part):
    """Noisy images, and for each pixel 0 or 1 + the kind of clothes."""
    x, y = training.fashion(part)
    mask = torch.where(x[:, 0] > THRESHOLD, 1 + y[:, None, None], 0)
    return (x + NOISE * torch.randn(x.shape)).clamp(0, 1), mask


def miou(out, mask):
    pick, total, n = out.argmax(1), 0.0, 0
    for k in range(CLASSES):
        union = ((pick == k) | (mask == k)).sum()
        if union > 0:
            total, n = total + float(((pick == k) & (mask == k)).sum()) / float(union), n + 1
    return total / n


if __name__ == "__main__":
    training.start(seed=2020)
    images, masks = task("train")
    train, test = (images[:30000], masks[:30000]), task("t10k")
    model = UNet()
    training.fit(model, train, test, epochs=2, rate=8e-3, score=miou, augment=False)
    training.export(model, (1, 28, 28), sys.argv[1] if len(sys.argv) > 1 else "examples/unet.onnx")
