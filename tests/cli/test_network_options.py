"""Other networks than the transformer, from the command line."""

import json
import re
import shlex
from pathlib import Path

from cli_support import Command

from network_cases import SOURCE
from spectraledge.training import RunConfig

SMALL = ("--modulus", 5, "--batch-size", 8, "--steps", 24, "--every", 3, "--json")


def test_an_mlp_is_trained_and_analysed(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sizes = ("--hidden", 6, "--inputs", "embedded", "--width", 4, "--activation", "square")
    trained = command("train", "add", "--model", "mlp", *sizes, *SMALL, "--out", folder)
    assert trained.code == 0
    model = RunConfig.of_run(folder).model.model_dump()
    assert (model["kind"], model["hidden"], model["width"], model["activation"]) == ("mlp", 6, 4, "square")
    spectrum = command("analyze", folder, "--window", 4, "--json")
    assert json.loads(spectrum.out)["matched"] == ["layers.0.weight"]
    measured = command("modes", folder, "--window", 4, "--nulls", 2, "--stride", 4, "--json")
    assert measured.code == 0
    assert "left out contrasts: the network has no attention heads" in measured.err
    assert json.loads(measured.out)["step"] == 24


def test_the_second_published_network_is_one_line(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    page = (Path(__file__).parents[2] / "docs/networks.md").read_text()
    (line,) = re.findall(
        r"^spectraledge (train add --modulus 71 .*?)\nspectraledge", page, flags=re.DOTALL | re.MULTILINE
    )
    small = ("--modulus", 7, "--hidden", 32, "--train-fraction", 0.8, "--steps", 40, "--every", 2, "--out", folder)
    trained = command(*shlex.split(line.replace("\\\n", " ")), *small)
    assert trained.code == 0
    config = RunConfig.of_run(folder)
    assert (config.optimizer, config.loss, config.betas, config.batch_size) == ("adam", "mse", (0.9, 0.999), 0)
    assert (config.clip_norm, config.weight_decay, config.model.bias) == (0.0, 2e-4, False)
    assert command("modes", folder, "--nulls", 2, "--json").code == 0
    forked = command("fork", folder, "--step", 20, "--steps", 10, "--optimizer", "sgd", "--nulls", 2)
    assert forked.code == 0
    assert "optimizer sgd: an optimizer other than the run's remembers no gradient at step 20" in forked.err


def test_optimizers_that_do_not_fit_are_refused(command: Command, tmp_path: Path) -> None:
    for arguments, message in (
        (("--optimizer", "lion"), "optimizer: Input should be 'adamw', 'adam', 'sgd' or 'muon', got 'lion'"),
        (("--loss", "hinge"), "loss: Input should be 'cross-entropy' or 'mse', got 'hinge'"),
        (("--momentum", 0.5), "momentum belongs to sgd and muon, got 0.5 of adamw"),
        (("--optimizer", "sgd", "--betas", 0.5, 0.9), "--betas belong to adamw and adam, and to muon's adamw"),
        (("--model", "mlp", "--width", 7), "--width 7 is that of an mlp's embedding, which one_hot has not"),
        (("--clip-norm", -1), "clip_norm: Input should be greater than or equal to 0"),
        (("--no-bias",), "bias: Extra inputs are not permitted"),
    ):
        refused = command("train", "add", *arguments, *SMALL, "--out", tmp_path / "run")
        assert refused.code == 2
        assert message in refused.err
        assert not (tmp_path / "run").exists()


def test_a_module_of_ones_own_is_trained_and_analysed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    folder, model = tmp_path / "run", f"{tmp_path / 'net.py'}:sums"
    assert command("train", "add+mul", "--model", model, "--hidden", 4, *SMALL, "--out", folder).code == 0
    assert RunConfig.of_run(folder).model.options == {"hidden": 4}
    measured = command("modes", folder, "--window", 4, "--nulls", 2, "--json")
    assert measured.code == 0
    assert "left out frequencies: embedding and neurons of the network unknown" in measured.err


def test_what_does_not_fit_a_network_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    own = f"{tmp_path / 'net.py'}:sums"
    for arguments, message in (
        (("--model", "mlp", "--heads", 2), "heads: Extra inputs are not permitted, got 2"),
        (("--activation", "relu"), "activation: Extra inputs are not permitted"),
        (("--model", "mlp", "--activation", "tanh"), "activation: Input should be 'relu', 'gelu' or 'square'"),
        (("--model", own, "--depth", 2), "net.py:sums failed: TypeError"),
        (("--model", own + "s"), "has no function 'sumss'"),
        (("--model", tmp_path / "none.py:sums"), "no Python file at"),
        (("--model", "cnn"), "unknown model 'cnn': give transformer, mlp or module.py:function"),
    ):
        refused = command("train", "add", *arguments, *SMALL, "--out", tmp_path / "run")
        assert refused.code == 2
        assert message in refused.err
        assert not (tmp_path / "run").exists()
