#!/usr/bin/env python3
"""Networks in the shape of those that people deploy, with random weights and few channels, written by PyTorch's
own exporter in several operator sets: `sievert infer` must give what PyTorch computes.

    architectures.py SIEVERT [WORD...]     only those whose names contain one of the words

Exit 77 (skipped) where PyTorch or NumPy is not installed."""
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as missing:
    print("SKIP:", missing)
    sys.exit(77)

OPSETS = (9, 11, 13, 17)
# Sums are in another order than PyTorch's.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def conv(c, k, size=3, stride=1, act=nn.ReLU, groups=1, norm=True, dilation=1):
    """Convolution, normalisation, activation."""
    layers = [nn.Conv2d(c, k, size, stride, dilation * (size - 1) // 2, dilation, groups, bias=not norm)]
    if norm:
        layers.append(nn.BatchNorm2d(k))
    if act:
        layers.append(act())
    return nn.Sequential(*layers)


class LRN(nn.Module):
    """nn.LocalResponseNorm as one node; PyTorch would write it as branches."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return F.local_response_norm(x, 5)

        @staticmethod
        def symbolic(g, x):
            return g.op("LRN", x, alpha_f=1e-4, beta_f=0.75, bias_f=1.0, size_i=5)

    def forward(self, x):
        return LRN.Function.apply(x)


class Branches(nn.Module):
    """All of them on the same input, side by side in the channels."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([b(x) for b in self.branches], 1)


class Residual(nn.Module):
    def __init__(self, body, short=None, act=None):
        super().__init__()
        self.body, self.short, self.act = body, short or nn.Identity(), act or nn.Identity()

    def forward(self, x):
        return self.act(self.body(x) + self.short(x))


def head(c, classes=10):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes))


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 16, 11, 4, 2), nn.ReLU(), LRN(), nn.MaxPool2d(3, 2),
        nn.Conv2d(16, 32, 5, padding=2, groups=2), nn.ReLU(), LRN(), nn.MaxPool2d(3, 2),
        nn.Conv2d(32, 32, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Dropout(),
        nn.Linear(32 * 3 * 3, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(1))


def vgg():
    return nn.Sequential(conv(3, 8), conv(8, 8), nn.MaxPool2d(2), conv(8, 16), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(16 * 16 * 16, 10))


def resnet():
    def bottleneck(c, k, stride):
        short = conv(c, 4 * k, 1, stride, None) if stride > 1 or c != 4 * k else None
        return Residual(nn.Sequential(conv(c, k, 1), conv(k, k, 3, stride), conv(k, 4 * k, 1, act=None)), short,
                        nn.ReLU())
    return nn.Sequential(conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1), bottleneck(8, 8, 1), bottleneck(32, 8, 1),
                         bottleneck(32, 16, 2), head(64))


def mobilenet_v1():
    return nn.Sequential(conv(3, 8, 3, 2), conv(8, 8, groups=8), conv(8, 16, 1), conv(16, 16, 3, 2, groups=16),
                         conv(16, 32, 1), head(32))


def mobilenet_v2():
    def block(c, k, stride):
        body = nn.Sequential(conv(c, 4 * c, 1, act=nn.ReLU6), conv(4 * c, 4 * c, 3, stride, nn.ReLU6, 4 * c),
                             conv(4 * c, k, 1, act=None))
        return Residual(body) if stride == 1 and c == k else body
    return nn.Sequential(conv(3, 8, 3, 2, nn.ReLU6), block(8, 8, 1), block(8, 16, 2), block(16, 16, 1), head(16))


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // 4, 1), nn.ReLU(),
                                   nn.Conv2d(c // 4, c, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.scale(x)


def mobilenet_v3():
    return nn.Sequential(conv(3, 8, 3, 2, nn.Hardswish), conv(8, 32, 1, act=nn.Hardswish),
                         conv(32, 32, 5, 2, nn.Hardswish, 32), SqueezeExcite(32), conv(32, 16, 1, act=None), head(16))


def squeezenet():
    def fire(c, s, e):
        return nn.Sequential(conv(c, s, 1, norm=False), Branches(conv(s, e, 1, norm=False), conv(s, e, norm=False)))
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), fire(16, 4, 16),
                         nn.MaxPool2d(3, 2, ceil_mode=True), fire(32, 8, 16), conv(32, 10, 1, norm=False),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())


def inception():
    def long(c, k):
        return nn.Sequential(nn.Conv2d(c, k, (1, 7), padding=(0, 3)), nn.ReLU(),
                             nn.Conv2d(k, k, (7, 1), padding=(3, 0)), nn.ReLU())
    pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(16, 8, 1))
    mean = nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(16, 8, 1))
    return nn.Sequential(conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), LRN(),
                         Branches(conv(16, 8, 1), nn.Sequential(conv(16, 8, 1), conv(8, 8)), long(16, 8), pool, mean),
                         nn.AvgPool2d(3, 2, 1), head(40))


class Dense(nn.Module):
    def __init__(self, c, grow):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 4 * grow, 1, bias=False),
                                  nn.BatchNorm2d(4 * grow), nn.ReLU(), nn.Conv2d(4 * grow, grow, 3, 1, 1, bias=False))

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


def densenet():
    return nn.Sequential(conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1), Dense(8, 4), Dense(12, 4), nn.BatchNorm2d(16),
                         nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False), nn.AvgPool2d(2), Dense(8, 4), nn.BatchNorm2d(12),
                         nn.ReLU(), head(12))


class Shuffle(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.body = nn.Sequential(conv(c // 2, c // 2, 1), conv(c // 2, c // 2, groups=c // 2, act=None),
                                  conv(c // 2, c // 2, 1))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.body(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet():
    return nn.Sequential(conv(3, 16, 3, 2), nn.MaxPool2d(3, 2, 1), Shuffle(16), Shuffle(16), head(16))


class UNet(nn.Module):
    def __init__(self, learnt):
        super().__init__()
        self.down1, self.down2 = conv(3, 8), conv(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2) if learnt else nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(16, 8, 1))
        self.join, self.head = conv(16, 8), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.up(self.down2(F.max_pool2d(a, 2)))
        return self.head(self.join(torch.cat([a, b], 1)))


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 16, dilation=2))
        self.aspp = Branches(conv(16, 8, 1), *[conv(16, 8, dilation=d) for d in (3, 6)])
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(16, 8, 1))
        self.head = nn.Sequential(conv(32, 8, 1), nn.Conv2d(8, 5, 1))

    def forward(self, x):
        y = self.stem(x)
        pooled = F.interpolate(self.pool(y), size=(16, 16), mode="bilinear", align_corners=False)
        y = self.head(torch.cat([self.aspp(y), pooled], 1))
        return F.interpolate(y, size=(64, 64), mode="bilinear", align_corners=False)


def boxes_v3(y, anchors, stride):
    """Raw output -> (x, y, w, h, objectness, classes), as Darknet decodes it."""
    n, _, h, w = y.shape
    h, w = int(h), int(w) # the grid is then a constant of the file
    a = torch.tensor(anchors).view(1, len(anchors), 1, 1, 2)
    y = y.view(n, len(anchors), -1, h, w).permute(0, 1, 3, 4, 2)
    gy, gx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([gx, gy], 2).view(1, 1, h, w, 2).float()
    xy = (torch.sigmoid(y[..., 0:2]) + grid) * stride
    return torch.cat([xy, torch.exp(y[..., 2:4]) * a, torch.sigmoid(y[..., 4:])], 4).reshape(n, -1, y.shape[4])


class YoloV3Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        act = lambda: nn.LeakyReLU(0.1)
        self.stem = nn.Sequential(conv(3, 8, act=act), nn.MaxPool2d(2), conv(8, 16, act=act), nn.MaxPool2d(2),
                                  conv(16, 16, act=act))
        self.deep = nn.Sequential(nn.MaxPool2d(2), conv(16, 32, act=act), nn.ZeroPad2d((0, 1, 0, 1)),
                                  nn.MaxPool2d(2, 1), conv(32, 16, 1, act=act))
        self.big = nn.Sequential(conv(16, 32, act=act), nn.Conv2d(32, 2 * 8, 1))
        self.up = nn.Sequential(conv(16, 8, 1, act=act), nn.Upsample(scale_factor=2, mode="nearest"))
        self.small = nn.Sequential(conv(24, 16, act=act), nn.Conv2d(16, 2 * 8, 1))

    def forward(self, x):
        a = self.stem(x)
        b = self.deep(a)
        small = self.small(torch.cat([self.up(b), a], 1))
        return torch.cat([boxes_v3(self.big(b), [[20.0, 30.0], [40.0, 25.0]], 8),
                          boxes_v3(small, [[8.0, 9.0], [12.0, 6.0]], 4)], 1)


class Split(nn.Module):
    """C3 of YOLOv5 and C2f of YOLOv8: part of the channels goes through bottlenecks."""

    def __init__(self, c, keep_all):
        super().__init__()
        self.keep_all, self.first, h = keep_all, conv(c, c, 1, act=nn.SiLU), c // 2
        self.parts = nn.ModuleList(Residual(nn.Sequential(conv(h, h, act=nn.SiLU), conv(h, h, act=nn.SiLU)))
                                   for _ in range(2))
        self.last = conv(4 * h if keep_all else c, c, 1, act=nn.SiLU)

    def forward(self, x):
        y = list(self.first(x).chunk(2, 1))
        for p in self.parts:
            y.append(p(y[-1]))
        return self.last(torch.cat(y if self.keep_all else [y[0], y[-1]], 1))


class Pyramid(nn.Module):
    """SPPF"""

    def __init__(self, c):
        super().__init__()
        self.first, self.last = conv(c, c // 2, 1, act=nn.SiLU), conv(2 * c, c, 1, act=nn.SiLU)

    def forward(self, x):
        y = [self.first(x)]
        for _ in range(3):
            y.append(F.max_pool2d(y[-1], 5, 1, 2))
        return self.last(torch.cat(y, 1))


class YoloV5(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(12, 16, act=nn.SiLU), conv(16, 16, 3, 2, nn.SiLU), Split(16, False))
        self.deep = nn.Sequential(conv(16, 32, 3, 2, nn.SiLU), Split(32, False), Pyramid(32), conv(32, 16, 1, act=nn.SiLU))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = nn.Sequential(conv(32, 16, 1, act=nn.SiLU), Split(16, False))
        self.heads = nn.ModuleList([nn.Conv2d(16, 2 * 8, 1), nn.Conv2d(16, 2 * 8, 1)])

    def decode(self, y, stride):
        n, _, h, w = y.shape
        y = torch.sigmoid(y.view(n, 2, 8, h, w).permute(0, 1, 3, 4, 2))
        gy, gx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack([gx, gy], 2).view(1, 1, h, w, 2).float() - 0.5
        xy, wh, rest = y.split((2, 2, 4), 4)
        return torch.cat([(xy * 2 + grid) * stride, (wh * 2) ** 2 * (4.0 * stride), rest], 4).view(n, -1, 8)

    def forward(self, x):
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        a = self.stem(x)
        b = self.deep(a)
        a = self.join(torch.cat([self.up(b), a], 1))
        return torch.cat([self.decode(self.heads[0](a), 4), self.decode(self.heads[1](b), 8)], 1)


class YoloV8(nn.Module):
    BINS, CLASSES = 8, 3

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2, nn.SiLU), conv(16, 16, 3, 2, nn.SiLU), Split(16, True))
        self.deep = nn.Sequential(conv(16, 32, 3, 2, nn.SiLU), Split(32, True), Pyramid(32))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = nn.Sequential(conv(48, 16, 1, act=nn.SiLU), Split(16, True))
        self.box = nn.ModuleList(nn.Sequential(conv(c, 16, act=nn.SiLU), nn.Conv2d(16, 4 * self.BINS, 1)) for c in (16, 32))
        self.cls = nn.ModuleList(nn.Sequential(conv(c, 16, act=nn.SiLU), nn.Conv2d(16, self.CLASSES, 1)) for c in (16, 32))
        self.dfl = nn.Conv2d(self.BINS, 1, 1, bias=False)
        self.dfl.weight.data[:] = torch.arange(self.BINS).float().view(1, self.BINS, 1, 1)

    def forward(self, x):
        a = self.stem(x)
        b = self.deep(a)
        a = self.join(torch.cat([self.up(b), a], 1))
        raw, anchors, strides = [], [], []
        for k, (y, stride) in enumerate(((a, 4), (b, 8))):
            n, _, h, w = (int(d) for d in y.shape)
            raw.append(torch.cat([self.box[k](y), self.cls[k](y)], 1).view(n, 4 * self.BINS + self.CLASSES, h * w))
            gy, gx = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            anchors.append(torch.stack([gx.reshape(-1), gy.reshape(-1)]))
            strides.append(torch.full((1, h * w), float(stride)))
        box, cls = torch.cat(raw, 2).split((4 * self.BINS, self.CLASSES), 1)
        n, _, m = box.shape
        distance = self.dfl(box.view(n, 4, self.BINS, m).transpose(2, 1).softmax(1)).view(n, 4, m)
        anchors, strides = torch.cat(anchors, 1), torch.cat(strides, 1)
        lt, rb = distance.chunk(2, 1)
        x1y1, x2y2 = anchors - lt, anchors + rb
        return torch.cat([torch.cat([(x1y1 + x2y2) / 2, x2y2 - x1y1], 1) * strides, cls.sigmoid()], 1)


def activations():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.ELU(), nn.Conv2d(8, 8, 3), nn.SELU(),
                         nn.Conv2d(8, 8, 3), nn.PReLU(8), nn.Conv2d(8, 8, 3), nn.Softplus(), nn.Conv2d(8, 8, 3), nn.Tanh(),
                         nn.Conv2d(8, 8, 3), nn.GELU(), nn.Conv2d(8, 8, 3), nn.Sigmoid(), nn.Flatten(),
                         nn.Linear(8 * 50 * 50, 10), nn.LogSoftmax(1))


class Signal(nn.Module):
    """One-dimensional."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(3, 16, 7, 2, 3), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
                                  nn.Conv1d(16, 16, 3, padding=2, dilation=2, groups=4), nn.ReLU())
        self.last = nn.Linear(16, 10)

    def forward(self, x):
        return self.last(self.body(x.flatten(2)).mean(2))


NETWORKS = {f.__name__: f for f in (
    alexnet, vgg, resnet, mobilenet_v1, mobilenet_v2, mobilenet_v3, squeezenet, inception, densenet, shufflenet,
    activations)}
NETWORKS.update(unet=lambda: UNet(True), unet_resize=lambda: UNet(False), deeplab=DeepLab, yolov3_tiny=YoloV3Tiny,
                yolov5=YoloV5, yolov8=YoloV8, signal=Signal)


def randomise(net):
    """Statistics that are not those of a new network."""
    for m in net.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.2, 0.2)


class NotWritten(Exception):
    pass


def check(sievert, folder, name, opset):
    """None, or what is wrong."""
    torch.manual_seed(1)
    net = NETWORKS[name]().eval()
    randomise(net)
    x = torch.rand(1, 3, 64, 64)
    path = f"{folder}/{name}.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = net(x)
        try: # unfolded, a file has more operators
            torch.onnx.export(net, x, path, opset_version=opset, do_constant_folding=opset != 11, input_names=["x"],
                              training=torch.onnx.TrainingMode.PRESERVE if opset == 13 else torch.onnx.TrainingMode.EVAL)
        except Exception as error:
            raise NotWritten(str(error).splitlines()[0][:100]) from None
    np.save(f"{folder}/x.npy", x.numpy())
    run = subprocess.run([sievert, "infer", "--onnx", path, "--input", f"{folder}/x.npy", "-o", f"{folder}/y.npy", "-q"],
                         capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip()
    y, want = np.load(f"{folder}/y.npy"), want.numpy()
    if y.shape != want.shape:
        return f"shape {y.shape} instead of {want.shape}"
    wrong = np.abs(y - want) > ABSOLUTE + RELATIVE * np.abs(want)
    return f"{wrong.sum()} of {y.size} elements differ, by up to {np.abs(y - want).max():g}" if wrong.any() else None


def main():
    sievert, words, failed, n = sys.argv[1], sys.argv[2:], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            if words and not any(w in name for w in words):
                continue
            for opset in OPSETS:
                if opset < 11 and name in ("unet_resize", "deeplab"):
                    continue # that Upsample has another rule for where pixels lie
                try:
                    wrong = check(sievert, folder, name, opset)
                except NotWritten as error:
                    print(f"{name}, operator set {opset}: PyTorch cannot write it: {error}")
                    continue
                n += 1
                failed += wrong is not None
                if wrong:
                    print(f"{name}, operator set {opset}: {wrong}")
    print(f"{n - failed} of {n} networks as PyTorch {torch.__version__} computes them")
    return failed > 0 or n == 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
