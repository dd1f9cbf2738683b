"""Numbers are the same bit for bit whatever a program has set as its defaults."""

import ast
import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import spectraledge
from spectraledge import functional_modes, window_directions, window_spectrum
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.modes import feature_basis
from spectraledge.spectrum import (
    BandedGram,
    Detector,
    Sketch,
    block_windows,
    change_score,
    displacement_gram,
    effective_dimension,
    gaussian_singular_values,
    gram_series,
    noise_floor,
    orthogonal_gram,
    principal_components,
    surrogate_updates,
    window_rotation,
)
from spectraledge.streams import torch_generator
from spectraledge.studies import analyze_folder
from spectraledge.trajectory import Series, snapshot_path, verify_series, write_tensors

FACTORIES = {"arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm"}
FACTORIES |= {"asarray", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros"}
OF_INTEGERS = {"arange", "randint", "randperm", "tril_indices", "triu_indices"}
UPDATES = torch.randn(14, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
PLAIN = {"device": "cpu", "dtype": torch.float32}
INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


@contextlib.contextmanager
def defaults():
    """Another default device, whose memory is not the host's, and another default type."""
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


WORLDS = {
    "default device and type": defaults,
    "device": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
}


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8, **PLAIN), nn.Tanh(), nn.Linear(8, 2, **PLAIN)).eval()


def wandering(module, count=9):
    generator = torch.Generator().manual_seed(1)
    weights = {name: part.detach().clone() for name, part in module.named_parameters()}
    for _ in range(count):
        yield weights
        weights = {
            name: part + 0.1 * torch.randn(part.shape, generator=generator, **PLAIN) for name, part in weights.items()
        }


def spectra():
    with_gap, gram = UPDATES.float(), BandedGram(5)
    with_gap[:, 0] *= 10
    gram.extend(with_gap[:8])
    gram.extend(with_gap[8:])
    grams, noise_T = gram.windows(), torch.full((14,), 1e-3, dtype=torch.float64, device="cpu")
    yield window_spectrum(UPDATES, window=5, center=True).eigenvalues_TW
    yield window_spectrum(with_gap, window=5).k_star_T
    yield window_spectrum(with_gap.bfloat16(), window=5).eigenvalues_TW
    yield window_directions(with_gap).vectors_KP
    yield window_rotation(grams, storage_noise=0.1)
    yield from (noise_floor(UPDATES, null=null, generator=torch_generator(1)).floor_W for null in NULLS)
    yield from (surrogate_updates(UPDATES, null=null, generator=torch_generator(1)) for null in NULLS)
    yield block_windows([UPDATES[:, :100], UPDATES[:, 100:]], 5)
    yield Sketch(16)(with_gap)
    yield from (values for _, values in gram_series(range(14), torch.cat(gram._bands), noise_T, window=4).values())
    yield from (change_score(noise_T, change) for change in ("high", "rise", "plateau", "shift"))
    yield gaussian_singular_values(4, 3, count=5, generator=torch_generator(2))
    yield principal_components(displacement_gram(orthogonal_gram(grams[0]))).courses_NK
    yield effective_dimension(grams.diagonal(dim1=-2, dim2=-1))


NULLS = ("lengths", "stationary", "phase", "sign")
ALERTS = [Detector("spike", "high", 1.0, 1), Detector("update_norm", "rise", 1.0)]
SETTINGS = [
    {},
    {"sketch": Sketch(16), "store": "bfloat16"},
    {"sketch": Sketch(16), "keep_places": False, "alerts": ALERTS},
    {"surrogates": 19, "center": True},
]


def tracked():
    """Tables of trackers whose weights are moved by hand, with a stop and a new beginning on the way."""
    for settings in SETTINGS:
        module = network()
        tracker, after = (
            SpectralEdgeTracker(module, None, params="*weight", window=3, every=2, **settings) for _ in range(2)
        )
        with tracker:
            for weights in wandering(module, 10):
                move(module, weights)
                tracker.record()
        after.load_state_dict(tracker.state_dict())
        with after:
            for weights in wandering(module, 7):
                move(module, weights)
                after.record()
        found = after.results()
        yield from (getattr(found, name) for name in ("spectrum", "edge", "rotation", "gram", "alerts", "selection"))
        yield after.latest.rotation_K


def move(module, weights):
    with torch.no_grad():
        for name, part in module.named_parameters():
            part.copy_(weights[name])


def heard():
    """The same through an optimiser's hooks."""
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    with SpectralEdgeTracker(module, optimizer, params="*weight", window=3, every=1) as tracker:
        for weights in wandering(module, 8):
            for name, part in module.named_parameters():
                part.grad = weights[name].clone()
            optimizer.step()
    yield tracker.results().gram


def checkpoints(folder):
    yield analyze_folder(folder, patterns=["*weight"], window=4, surrogates=19).edge
    yield from (update.update_P for update in Series.open(folder).updates())
    yield from (update.update_P for update in Series.open(folder / "pickled").updates())
    yield [finding.text for finding in verify_series(folder).findings]


def functions():
    module, labels = network(), np.arange(40) % 4
    bases = [feature_basis("both", {"linear": INPUTS.numpy(), "label": labels})]
    settings = {"window": 6, "nulls": 5, "components": 2, "bases": bases, "readout": lambda output: output}
    found = functional_modes(module, list(wandering(module)), INPUTS, **settings)
    yield from (found.components, found.selection, found.shares, found.component_shares, found.response_KND)


DOORS = {"spectra": spectra, "tracked": tracked, "heard": heard, "checkpoints": checkpoints, "functions": functions}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("door", DOORS)
def test_defaults_change_nothing(tmp_path, door, world):
    if door == "checkpoints":
        for step, weights in enumerate(wandering(network())):
            write_tensors(snapshot_path(tmp_path, step), weights)
            (tmp_path / "pickled").mkdir(exist_ok=True)
            torch.save(weights, tmp_path / "pickled" / f"step_{step}.pt")
    arguments = [tmp_path] if door == "checkpoints" else []
    expected = list(DOORS[door](*arguments))
    with WORLDS[world]():
        found = list(DOORS[door](*arguments))
    assert len(found) == len(expected) > 0
    for mine, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, pd.DataFrame):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        elif isinstance(theirs, torch.Tensor):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)
        else:
            np.testing.assert_array_equal(mine, theirs)


def test_every_allocation_says_where_and_of_what_type():
    """Modules alone leave it to the program, as those of PyTorch do."""
    found = []
    for path in sorted(Path(spectraledge.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).removeprefix("torch.") in FACTORIES:
                needed = {"device"} if call.func.attr in OF_INTEGERS else {"device", "dtype"}
                if not needed <= {keyword.arg for keyword in call.keywords}:
                    found.append(f"{path.parent.name}/{path.name}: {ast.unparse(call)}")
    assert found == ["models/module_tensors.py: torch.empty(rows, width)"]
