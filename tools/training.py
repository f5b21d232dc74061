"""What the tools/train_*.py scripts share: Fashion-MNIST from Debian's package, a training loop with a
fixed seed, and ONNX export with readable node names. Needs tools/install-deps.sh --train; run with
Debian's /usr/bin/python3. One thread, so that the same seed gives the same network."""
import gzip
import os
import struct
import time
from collections import OrderedDict

import numpy as np
import onnx
import torch
from torch import nn

FOLDER = "/usr/share/datasets/fashion-mnist"


def idx(name):
    """One IDX file as an array."""
    with gzip.open(os.path.join(FOLDER, name)) as f:
        rank = struct.unpack(">HBB", f.read(4))[2]
        dims = struct.unpack(">%dI" % rank, f.read(4 * rank))
        return np.frombuffer(f.read(), np.uint8).reshape(dims)


def fashion(part):
    """part: "train" or "t10k". Images as n x 1 x 28 x 28 in [0, 1], and labels."""
    images = idx(part + "-images-idx3-ubyte.gz").astype(np.float32) / np.float32(255)
    labels = idx(part + "-labels-idx1-ubyte.gz").astype(np.int64)
    return torch.from_numpy(images[:, None]), torch.from_numpy(labels)


def named(layers):
    return OrderedDict(layers)


def start(seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


def evaluate(model, x, y, score):
    model.eval()
    with torch.no_grad():
        total = sum(float(score(model(a), b)) * len(a)
                    for a, b in zip(x.split(500), y.split(500)))
    return total / len(x)


def accuracy(out, y):
    return (out.argmax(1) == y).float().mean()


def fit(model, train, test, epochs, rate, loss=nn.functional.cross_entropy, score=accuracy,
        batch=128, decay=1e-4, augment=True):
    """One-cycle Adam. augment: random mirror images (clothes have no left and right)."""
    x, y = train
    steps = (len(x) + batch - 1) // batch
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, epochs * steps)
    began = time.time()
    for epoch in range(epochs):
        model.train()
        for pick in torch.randperm(len(x)).split(batch):
            a, b = x[pick], y[pick]
            if augment:
                mirror = torch.rand(len(a)) < 0.5
                a = torch.where(mirror[:, None, None, None], a.flip(3), a)
            optimiser.zero_grad()
            loss(model(a), b).backward()
            optimiser.step()
            schedule.step()
        print("epoch %d of %d: test score %.2f %% after %.0f s" %
              (epoch + 1, epochs, 100 * evaluate(model, *test, score), time.time() - began),
              flush=True)


def export(model, shape, path, output="scores"):
    """Write opset 13 with a dynamic batch; nodes are named after the module that made them."""
    model.eval()
    torch.onnx.export(model, torch.zeros(1, *shape), path, opset_version=13,
                      input_names=["image"], output_names=[output],
                      dynamic_axes={"image": {0: "batch"}, output: {0: "batch"}})
    net = onnx.load(path)
    seen = {}
    for node in net.graph.node:
        parts = node.name.strip("/").split("/")
        name = ".".join(parts[:-1]) or parts[0].lower()
        seen[name] = seen.get(name, 0) + 1
        node.name = name if seen[name] == 1 else "%s_%d" % (name, seen[name])
    onnx.checker.check_model(net)
    onnx.save(net, path)
    print("%s: %d parameters, %d bytes" %
          (path, sum(p.numel() for p in model.parameters()), os.path.getsize(path)))
