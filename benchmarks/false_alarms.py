"""How often `checkpoints verify` finds something in sound series, and how long it takes for a cache of 154 revisions.

Run by hand: `python benchmarks/false_alarms.py --seeds 50`. Prints a table and writes it as JSON beside the others.
"""

import argparse
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from spectraledge.files import write_json
from spectraledge.trajectory import verify_series

SETTINGS = {
    "AdamW": {"optimizer": torch.optim.AdamW, "rate": 3e-3, "weight_decay": 0.1},
    "AdamW, weight decay 1": {"optimizer": torch.optim.AdamW, "rate": 3e-3, "weight_decay": 1.0},
    "AdamW, rate 1e-2": {"optimizer": torch.optim.AdamW, "rate": 1e-2, "weight_decay": 0.1},
    "SGD with momentum": {"optimizer": torch.optim.SGD, "rate": 0.05, "momentum": 0.9},
    "AdamW, the rate times 30 for ten steps": {"optimizer": torch.optim.AdamW, "rate": 1e-3, "spike": 30.0},
    "AdamW, warm-up and cosine": {"optimizer": torch.optim.AdamW, "rate": 3e-3, "cosine": True},
}
SPACINGS = {
    "every 50": [50 * step for step in range(25)],
    "powers of two": [0, *(2**power for power in range(11))],
}
_LAST = 1200


def weights_of(seed, steps, optimizer, rate, spike=1.0, cosine=False, **options):
    """Weights of a small training at some steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 48), nn.LayerNorm(48), nn.GELU(), nn.Linear(48, 12))
    made = optimizer(model.parameters(), lr=rate, **options)
    at = 100 + seed * 13 % 800
    for step in range(_LAST + 1):
        if step in steps:
            yield step, {name: value.detach().clone() for name, value in model.state_dict().items()}
        scale = spike if at <= step < at + 10 else 1.0
        if cosine:
            # From 1, not 0: a first rate of 0 leaves steps 0 and 1 equal, which is rightly said.
            scale = min(1.0, (step + 1) / 100) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / _LAST)).item())
        for group in made.param_groups:
            group["lr"] = rate * scale
        inputs = torch.randn(32, 12)
        loss = (model(inputs) - inputs.roll(1, 1) * inputs).square().mean()
        made.zero_grad()
        loss.backward()
        made.step()


def alarms(seeds):
    """Rows of settings and spacing: series, series with a finding, kinds of findings."""
    every = {step for steps in SPACINGS.values() for step in steps}
    for setting, options in SETTINGS.items():
        found, alarmed = {spacing: Counter() for spacing in SPACINGS}, Counter()
        for seed in range(seeds):
            series = dict(weights_of(seed, every, **options))
            for spacing, steps in SPACINGS.items():
                with tempfile.TemporaryDirectory() as place:
                    for step in steps:
                        save_file(series[step], Path(place) / f"step_{step}.safetensors")
                    kinds = [finding.kind for finding in verify_series(Path(place)).findings]
                found[spacing].update(kinds)
                alarmed[spacing] += bool(kinds)
        for spacing in SPACINGS:
            row = {"setting": setting, "snapshots": spacing, "series": seeds, "alarmed": alarmed[spacing]}
            print(row | {"kinds": dict(found[spacing])}, flush=True)
            yield row | {"kinds": dict(found[spacing])}


def cache_seconds(revisions=154, copies=86):
    """Seconds of the quick look at a cache of which many revisions are the final weights; and whether it finds them."""
    with tempfile.TemporaryDirectory() as place:
        repository = Path(place) / "models--org--name"
        (repository / "blobs").mkdir(parents=True)
        (repository / "refs").mkdir()
        for number in range(revisions):
            blob = repository / "blobs" / f"{revisions - 1 if number >= revisions - copies else number:064x}"
            if not blob.exists():
                with blob.open("wb") as handle:
                    handle.truncate(300_000_000)
            commit = f"{number:040x}"
            (repository / "refs" / f"step{1000 * number}").write_text(commit)
            (repository / "snapshots" / commit).mkdir(parents=True)
            (repository / "snapshots" / commit / "model.safetensors").symlink_to(blob)
        began = time.perf_counter()
        findings = verify_series(repository, quick=True).findings
        took = time.perf_counter() - began
    return {"revisions": revisions, "seconds": took, "copies found": [len(one.steps) for one in findings]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    torch.set_num_threads(1)
    asked = parser.parse_args().seeds
    result = {"cache": cache_seconds(), "torch": torch.__version__}
    print(result["cache"], flush=True)
    result["false alarms"] = list(alarms(asked))
    write_json(Path(__file__).parent / "results" / f"{date.today()}-false-alarms.json", result)
