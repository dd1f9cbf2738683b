"""Every analysis of every kind of network, against central differences, autograd and singular values by the book."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from network_cases import MODELS, NetworkModel
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import Stamp, carry_out
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.modes import energy_share
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import any_task, grouping
from spectraledge.training import RunConfig, train_in_folder
from spectraledge.trajectory import read_snapshot

SETTINGS = AnalysisConfig(window=4, nulls=3, surrogates=19, edge=2)
TINY = 1e-6
WITH_RESIDUAL = [case for case in MODELS if case != "unstacked_module"]
NEEDS_RESIDUAL = {"step", "course", "representation", "autoencoder", "cousage", "reuse", "gradients"}


class Measured(NamedTuple):
    """A run, and what its analyses left."""

    case: str
    run: RecordedRun
    network: Network
    stamps: dict[str, Stamp]

    def table(self, name: str) -> pd.DataFrame:
        return read_table(self.run.folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def measured(network_model: NetworkModel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Measured]:
    """Train a case's network on multiplication mod 5 and analyse it, once."""
    found: dict[str, Measured] = {}

    def measure(case: str) -> Measured:
        if case not in found:
            folder, task = tmp_path_factory.mktemp(case) / "run", any_task("mul", modulus=5)
            small = {"batch_size": 8, "steps": 24, "every": 3, "stop_accuracy": 2.0, "learning_rate": 0.01}
            train_in_folder(folder, RunConfig.for_task(task, network_model(case), **small), task)
            stamps = {name: carry_out(folder, analysis, SETTINGS) for name, analysis in ANALYSES.items()}
            run = RecordedRun.open(folder)
            found[case] = Measured(case, run, Network.at(run, 24), stamps)
        return found[case]

    return measure


def module_at(at: Measured, moved_P: torch.Tensor | None = None) -> nn.Module:
    """The run's module itself, in double precision, at its last weights or beside them."""
    weights = {name: value.double() for name, value in read_snapshot(at.run.series.snapshots[-1].path).items()}
    layout = at.run.series.layout
    if moved_P is not None:
        weights |= {name: weights[name] + value for name, value in layout.split(moved_P).items()}
    module = at.network.architecture.module()
    module = module.to_empty(device="cpu") if next(module.parameters()).is_meta else module
    module.double().load_state_dict(weights, strict=False)
    return module


def read(module: nn.Module, pairs: torch.Tensor, readout: str) -> torch.Tensor:
    """A read-out by what the module returns, or by what its last linear layer was given."""
    given = []
    for name, part in module.named_modules():
        if name in ("head", "answer"):
            part.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    out = module(pairs)
    if hasattr(out, "logits_NC"):
        given, out = [out.residual_ND], out.logits_NC
    return given[-1] if readout == "residual" else out - out.mean(-1, keepdim=True)


def differences(at: Measured, vectors_KP: torch.Tensor, readout: str = "residual") -> NDArray[np.float64]:
    """Responses by central differences."""
    pairs, rows = torch.from_numpy(at.run.task.pairs_N2), []
    with torch.no_grad():
        for vector_P in vectors_KP:
            ahead, behind = (read(module_at(at, size * vector_P), pairs, readout) for size in (TINY, -TINY))
            rows.append(((ahead - behind) / (2 * TINY)).numpy())
    return np.stack(rows)


def loss_gradient(at: Measured, kept_N: NDArray[np.bool_]) -> torch.Tensor:
    module, kept = module_at(at), torch.from_numpy(kept_N)
    logits = read(module, torch.from_numpy(at.run.task.pairs_N2)[kept], "logits")
    F.cross_entropy(logits, torch.from_numpy(at.run.task.labels_N)[kept]).backward()
    return at.run.series.layout.join({name: value.grad for name, value in module.named_parameters()})


def edge_of(at: Measured) -> torch.Tensor:
    return at.run.window(24, window=4, center=True).directions.vectors_KP


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_is_done_or_refused_by_name(measured, case: str, name: str) -> None:
    at = measured(case)
    stamp = at.stamps[name]
    if case not in WITH_RESIDUAL and name in NEEDS_RESIDUAL:
        assert "one_hot has no read-out 'residual', only logits" in stamp.error
        return
    if name == "cosets":
        assert "task 'mul' is not on a group by name" in stamp.error
        return
    assert stamp.error == ""
    lacking = {table for reason in stamp.left_out for table in reason.split(":")[0].split(", ")}
    if case == "transformer":
        assert not lacking
    for table in ANALYSES[name].tables:
        found = at.table(table.name)
        assert table.misfit(found.columns) == ""
        assert len(found) or table.name in lacking | {"inclusion"}, table.name


@pytest.mark.parametrize("case", WITH_RESIDUAL)
def test_what_a_network_lacks_is_said_once(measured, case: str) -> None:
    at = measured(case)
    reasons = {name: stamp.left_out for name, stamp in at.stamps.items() if stamp.left_out}
    if case == "transformer":
        assert reasons == {}
        return
    heads, products = "the network has no attention heads", "the network has no W_Q and W_K, so that nothing is said of"
    assert reasons["representation"] == (f"block_shares, purity: {heads}",)
    assert f"contrasts: {heads}" in reasons["step"]
    assert reasons["decompositions"] == (f"decompositions: {products} its weights",)
    assert set(at.table("contrasts")["readout"]) == {"residual", "logits"}
    assert set(at.table("decompositions")["decomposition"]) == {"updates", "displacement"}
    assert at.table("decomposition_agreement")[["weights", "spread", "p"]].isna().all(axis=None)
    missing = [side for side in ("embedding", "neurons") if at.table("frequencies")[side].isna().any()]
    assert missing == ([] if "mlp" in case else ["embedding", "neurons"])
    assert not set(missing) & set(at.table("agreement")["weights"])


@pytest.mark.parametrize("case", MODELS)
def test_responses_are_central_differences(measured, case: str) -> None:
    at = measured(case)
    vectors = torch.randn(2, at.run.series.layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for readout in set(at.network.architecture.readouts) - {"normed"}:
        expected = differences(at, vectors, readout)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(host(at.network.responses(vectors, readout)), expected, atol=1e-6 * scale)
        single = Network.at(at.run, 24, dtype=torch.float32)
        np.testing.assert_allclose(host(single.responses(vectors, readout)), expected, atol=1e-4 * scale)


@pytest.mark.parametrize("case", MODELS)
def test_gradients_are_autograds(measured, case: str) -> None:
    at = measured(case)
    kept_N = ~at.run.test_N
    torch.testing.assert_close(at.network.gradient(kept_N), loss_gradient(at, kept_N), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", MODELS)
def test_spectra_are_those_of_the_updates(measured, case: str) -> None:
    at = measured(case)
    theta_TP = torch.stack([theta_P.double() for _, theta_P, _ in at.run.series.vectors()])
    spectrum = at.table("spectrum")
    for end in range(4, 9):
        expected = torch.linalg.svdvals(theta_TP.diff(dim=0)[end - 4 : end]).square().numpy()
        found = spectrum[spectrum["step"] == 3 * end].sort_values("k")["eigenvalue"]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 * expected[0])


@pytest.mark.parametrize("case", WITH_RESIDUAL)
def test_shares_of_a_step_are_those_of_the_differences(measured, case: str) -> None:
    at = measured(case)
    response_KND = differences(at, edge_of(at))
    modes = at.table("modes").query("kind in ('edge', 'bulk') and method == 'jvp'")
    for basis in ("sum", "output"):
        expected = energy_share(response_KND, grouping(at.run.task, basis))
        found = modes[modes["basis"] == basis].sort_values("direction")["energy_share"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    own = grouping(at.run.task, at.run.task.structure)
    course = at.table("course").query("quantity == 'energy_share' and kind == 'edge' and step == 24")
    np.testing.assert_allclose(course["value"], energy_share(response_KND, own)[:2], atol=1e-4)
    logits_KNC = differences(at, edge_of(at)[:2], "logits")
    contrasts = at.table("contrasts").query("readout == 'logits' and kind == 'edge'").sort_values("direction")
    np.testing.assert_allclose(contrasts["energy"], np.square(logits_KNC).sum((1, 2)) / len(own.groups_N), rtol=1e-5)


@pytest.mark.parametrize("case", WITH_RESIDUAL)
def test_usage_is_the_derivative_of_the_loss(measured, case: str) -> None:
    at = measured(case)
    slopes = edge_of(at) @ loss_gradient(at, np.ones(len(at.run.task), dtype=bool))
    usage = at.table("usage").query("kind in ('edge', 'bulk')").sort_values("direction")
    scale = float(slopes.abs().max())
    np.testing.assert_allclose(usage["slope"], slopes.numpy(), atol=1e-4 * scale)


@pytest.mark.parametrize("case", WITH_RESIDUAL)
def test_ranks_are_those_of_the_responses(measured, case: str) -> None:
    at = measured(case)
    ranks = at.table("ranks").query("kind == 'edge' and not centered").sort_values("direction")
    expected = []
    for response_ND in differences(at, edge_of(at)[:2]):
        share = np.linalg.svd(response_ND, compute_uv=False) ** 2
        share = share[share > 0] / share.sum()
        expected.append(np.exp(-(share * np.log(share)).sum()))
    np.testing.assert_allclose(ranks["effective_rank"], expected, rtol=1e-3)


def test_logits_are_read_where_there_is_nothing_else(measured, tmp_path: Path) -> None:
    at = measured("unstacked_module")
    stamp = carry_out(at.run.folder, ANALYSES["step"], SETTINGS.model_copy(update={"readout": "logits"}))
    assert stamp.error == ""
    modes = at.table("modes").query("kind in ('edge', 'bulk') and basis == 'sum'").sort_values("direction")
    expected = energy_share(differences(at, edge_of(at), "logits"), grouping(at.run.task, "sum"))
    np.testing.assert_allclose(modes["energy_share"], expected, atol=1e-5)


def test_a_changed_file_is_refused_when_its_run_is_analysed(measured, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(Path(measured("module").run.config.model.path).read_text())
    task = any_task("mul", modulus=5)
    config = RunConfig.for_task(task, {"kind": f"{tmp_path / 'net.py'}:sums"}, batch_size=8, steps=24, every=3)
    train_in_folder(tmp_path / "run", config, task)
    (tmp_path / "net.py").write_text("def sums(task): ...\n")
    with pytest.raises(InputError, match=r"net.py has changed since the run was configured"):
        Network.at(RecordedRun.open(tmp_path / "run"), 24)
    stamp = carry_out(tmp_path / "run", ANALYSES["step"], SETTINGS)
    assert "net.py has changed since the run was configured" in stamp.error
