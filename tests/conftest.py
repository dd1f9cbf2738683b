"""Settings of every test: one thread, property tests that repeat the same examples, and the network as published."""

import math
import os

import pytest
import torch
from hypothesis import settings
from torch import nn

from spectraledge.native import instruction_set, load

pytest_plugins = ["network_cases", "recorded_runs", "small_runs"]

torch.set_num_threads(1)
# No test cuts the power, and waiting for the disk takes a tenth of their time.
os.fsync = lambda descriptor: None
settings.register_profile("suite", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("suite")
# Trackio takes its folder when imported: a relative one is in each test's own. W&B looks up an address even offline.
# The compiler would start a process for each core, beside tests that stand on all of them.
os.environ |= {"TRACKIO_DIR": "trackio", "WANDB_ERROR_REPORTING": "false", "TORCHINDUCTOR_COMPILE_THREADS": "1"}


_PARTS = {
    "self_attn.in_proj_": "attention.qkv.",
    "self_attn.out_proj.": "attention.output.",
    "linear1.": "up.",
    "linear2.": "down.",
}
"""PyTorch's names within an encoder layer, and ours, where they differ."""


class PublishedNetwork(nn.Module):
    """The network of Xu 2026, §2, built of PyTorch's own encoder in the order of the author's constructor."""

    def __init__(self, config):
        super().__init__()
        self.token_embedding = nn.Embedding(config.tokens, config.width)
        self.position_embedding = nn.Parameter(torch.randn(config.length, config.width) / math.sqrt(config.width))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.hidden,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.heads = nn.ModuleList(nn.Linear(config.width, config.tokens) for _ in range(config.answers))

    def forward(self, tokens):
        """Return the logits of each head side by side, and the residual stream."""
        stream = self.layers(self.token_embedding(tokens) + self.position_embedding)
        normed = self.norm(stream[:, 0])
        return torch.cat([head(normed) for head in self.heads], -1), stream[:, 0]

    def named_as_ours(self):
        """Parameters by the name that `Transformer` gives them; several heads stay one by one."""
        found = {}
        for name, parameter in self.named_parameters():
            ours = name.replace("layers.layers.", "layers.")
            ours = ours.replace("heads.0.", "head.") if len(self.heads) == 1 else ours
            for their_part, our_part in _PARTS.items():
                ours = ours.replace(f".{their_part}", f".{our_part}")
            found[ours] = parameter
        return found


@pytest.fixture
def unrastered(monkeypatch):
    """Let PNGs hold their sheets of SVG: pixels take most of a report's time; the PDF reads the same sheet."""
    from spectraledge.pages import printed, publishing

    def encoded(sheet, form):
        return sheet.encode() if form == "png" else printed.encoded(sheet, form)

    monkeypatch.setattr(publishing, "encoded", encoded)


@pytest.fixture(scope="session")
def published_network():
    return PublishedNetwork


@pytest.fixture(params=["torch", "default", "avx2", "avx512"])
def native(request):
    """Give C functions by name and argument types, of one instruction set after another; None for PyTorch's way."""
    way, sets = request.param, ["default", "avx2", "avx512"]
    if way != "torch" and sets.index(way) > sets.index(instruction_set()):
        pytest.skip(f"this processor has no {way}")

    def function(name, arguments):
        found = None if way == "torch" else load(name, arguments, way)
        assert way == "torch" or found is not None, "the package was built without a compiler"
        return found

    return function
