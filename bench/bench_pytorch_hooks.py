#!/usr/bin/python3
"""The peer of bench_simulate: errors a second on one thread with PyTorch and a forward hook that overwrites
elements of one layer's output, a whole inference for each error, as PyTorchFI and ALFI work. The nets are
built anew with random weights: only the time matters. Needs tools/install-deps.sh --train."""
import os
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import train_lenet5
import train_vgg

torch.set_num_threads(1)
for name, net in (("lenet5", train_lenet5.lenet5()), ("vgg", train_vgg.vgg())):
    net.eval()
    image = torch.rand(1, 1, 28, 28)
    layer = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)][0]

    def strike(module, inputs, output):
        flat = output.view(-1)
        flat[int(torch.randint(0, flat.numel(), ()))] = 1000 * float(torch.rand(()))
        return output

    layer.register_forward_hook(strike)
    with torch.no_grad():
        for _ in range(5):
            net(image)
        n, start = 0, time.process_time()
        while time.process_time() - start < 2:
            net(image).argmax(1)
            n += 1
    print("%s: %.0f errors a second with PyTorch hooks" % (name, n / (time.process_time() - start)))
