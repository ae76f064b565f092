"""The training steps that `cargo xtask bench` compares itself with: the same networks in eager PyTorch, on the CPU.

The first network, its batch and the update are those of host/src/network/residual_mlp.rs and host/presets/digits.toml, the
others those of host/src/cli/bench/images.rs. The
conversation is in lines: after the greeting, every line on standard input, a number of steps, is answered by the
milliseconds of one step, as JSON. So both programs can take turns on one machine.

    python3 peer.py THREADS < data.txt      # rows of 64 pixels and a class, then a line `steps`, then numbers of steps
"""
import json
import math
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    print(json.dumps({"missing": "PyTorch"}), flush=True)
    sys.exit()

FEATURES, CLASSES, HIDDEN, BLOCKS, BATCH = 64, 10, 128, 2, 256


class Block(nn.Module):
    """h + W2 silu(W1 norm(h))"""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)
        self.first = nn.Linear(HIDDEN, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, h):
        return h + self.second(F.silu(self.first(self.norm(h))))


class ResidualMlp(nn.Module):
    """Predicts v from x_t [batch, 64], the noise level as an angle in [0, 1], and a class (10: none)."""

    def __init__(self):
        super().__init__()
        self.input = nn.Linear(FEATURES, HIDDEN)
        self.table = nn.Embedding(CLASSES + 1, HIDDEN)
        self.angle = nn.Linear(32, HIDDEN)
        self.blocks = nn.Sequential(*[Block() for _ in range(BLOCKS)])
        self.output = nn.Linear(HIDDEN, FEATURES)
        self.register_buffer("frequencies", 1000 ** torch.linspace(0, 1, 16))

    def forward(self, x_t, angle, label):
        phase = angle[:, None] * self.frequencies
        waves = torch.cat([phase.sin(), phase.cos()], dim=1)
        h = self.input(x_t) + self.table(label) + F.silu(self.angle(waves))
        return self.output(self.blocks(h))


def convolutions():
    """1-32-32-32-1 channels, 3x3, SiLU between them."""
    layers = [nn.Conv2d(1, 32, 3, padding=1)]
    for outputs in (32, 32, 1):
        layers += [nn.SiLU(), nn.Conv2d(32, outputs, 3, padding=1)]
    return nn.Sequential(*layers)


class TransformerBlock(nn.Module):
    """Attention in 4 heads and a perceptron four times as wide, both residual."""

    def __init__(self, width=128, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.merge(seen)
        return x + self.second(F.silu(self.first(x)))


def fixed(network, *inputs):
    """Forward, backward and AdamW on inputs that stay the same."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step():
        optimiser.zero_grad()
        network(*inputs).square().mean().backward()
        optimiser.step()

    return step


def whole(data, labels):
    """Algorithm 3.2: rows, labels hidden, times and noise drawn; v regressed; gradient clipped; AdamW; EMA."""
    network = ResidualMlp()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    averages = [parameter.detach().clone() for parameter in network.parameters()]

    def step():
        rows = torch.randint(len(data), (BATCH,))
        label = torch.where(torch.rand(BATCH) < 0.1, CLASSES, labels[rows])
        angle = 0.001 + 0.998 * torch.rand(BATCH)
        alpha, sigma = torch.cos(angle * math.pi / 2)[:, None], torch.sin(angle * math.pi / 2)[:, None]
        x0, eps = data[rows], torch.randn(BATCH, FEATURES)
        loss = (network(alpha * x0 + sigma * eps, angle, label) - (alpha * eps - sigma * x0)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            for average, parameter in zip(averages, network.parameters()):
                average.lerp_(parameter, 0.005)

    return step


def draws():
    """2000 digits in 20 steps of DDIM, estimates clamped, classes in turn; all in one batch, which is fastest here."""
    network, count = ResidualMlp(), 2000
    label = torch.arange(count) % CLASSES
    angles = [0.999 * (1 - step / 20) for step in range(21)]

    @torch.inference_mode()
    def draw():
        x = torch.randn(count, FEATURES)
        for angle, end in zip(angles, angles[1:]):
            alpha, sigma = math.cos(angle * math.pi / 2), math.sin(angle * math.pi / 2)
            x0 = (alpha * x - sigma * network(x, torch.full((count,), angle), label)).clamp(-1, 1)
            eps = (x - alpha * x0) / sigma
            x = math.cos(end * math.pi / 2) * x0 + math.sin(end * math.pi / 2) * eps
        return x

    return draw


def milliseconds(step, count):
    begun = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - begun) / count * 1e3


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(0)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    rows = [[float(cell) for cell in line.split()] for line in iter(sys.stdin.readline, "steps\n")]
    table = torch.tensor(rows)
    data, labels = table[:, :FEATURES].contiguous(), table[:, FEATURES].long()
    x_t, angle, label = torch.randn(BATCH, FEATURES), torch.rand(BATCH), torch.zeros(BATCH, dtype=torch.long)
    steps = {"mlp": fixed(ResidualMlp(), x_t, angle, label), "train": whole(data, labels)}
    images = {
        "conv": fixed(convolutions(), torch.randn(64, 1, 28, 28)),
        "block": fixed(TransformerBlock(), torch.randn(64, 49, 128)),
    }
    draw = draws()
    for line in sys.stdin:
        count = int(line)
        times = {name: milliseconds(step, count) for name, step in steps.items()}
        times |= {name: milliseconds(step, max(1, count // 20)) for name, step in images.items()}
        times["sample"] = milliseconds(draw, max(1, count // 50))
        print(json.dumps(times), flush=True)


main()
