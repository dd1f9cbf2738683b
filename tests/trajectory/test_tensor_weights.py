"""What counts as a weight in a file: tied tensors once, buffers and optimisers never, complex numbers as pairs."""

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, verify_series
from spectraledge.trajectory.names import TensorKind, may_be_tied, no_weights, plain_names
from spectraledge.trajectory.stored_weights import select_weights

STEPS = [100, 200, 300, 400]


def record(folder, make, suffix="pt"):
    """Write what `make` gives for every step and a matrix that walks."""
    generator = torch.Generator().manual_seed(0)
    walk = torch.randn(len(STEPS), 6, 5, generator=generator).cumsum(0)
    for step, matrix in zip(STEPS, walk, strict=True):
        path = folder / f"step_{step}.{suffix}"
        save_file(make(step, matrix.clone()), path) if suffix == "safetensors" else torch.save(
            make(step, matrix.clone()), path
        )
    return walk


def sizes(folder, patterns=("*",), **options):
    """Return how many numbers are watched, and what is left out, after reading every update."""
    series = Series.open(folder, patterns, **options)
    assert all(len(update.update_P) == series.layout.size for update in series.updates())
    return series.layout.size, dict(series.selection.left_out)


def test_tensors_of_one_storage_count_once(tmp_path):
    walk = record(tmp_path, lambda step, w: {"in.weight": w, "out.weight": w, "own": w[0].clone()})
    assert sizes(tmp_path) == (35, {"out.weight": "tied to in.weight"})
    assert sizes(tmp_path, ["out.*"]) == (30, {})
    (first, *_) = Series.open(tmp_path, ["in*", "out*"]).updates()
    torch.testing.assert_close(first.update_P, (walk[1].double() - walk[0].double()).flatten(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "size", "left"),
    [
        (lambda w: {"in": w, "out": w.T}, 30, {"out"}),
        (lambda w: {"q": w[:2], "k": w[2:4], "qkv": w}, 30, {"q", "k"}),
        (lambda w: {"q": w[:, :2], "k": w[:, 2:]}, 30, set()),
        (lambda w: {"even": w.flatten()[::2], "odd": w.flatten()[1::2]}, 30, set()),
        (lambda w: {"row": w[0], "column": w[1:, 0]}, 10, set()),
        (lambda w: {"a": w.flatten()[:10].view(2, 5), "b": w.flatten()[10:]}, 30, set()),
        (lambda w: {"whole": w, "squeezed": w.view(6, 1, 5), "flat": w.flatten()}, 30, {"squeezed", "flat"}),
        (lambda w: {"w": nn.Parameter(w), "same": w}, 30, {"same"}),
    ],
    ids=["transposed", "parts", "columns", "interleaved", "crossing spans", "flat buffer", "other shapes", "parameter"],
)
def test_views_count_once_where_they_have_numbers_in_common(tmp_path, make, size, left):
    record(tmp_path, lambda step, w: make(w))
    assert sizes(tmp_path)[0] == size
    assert set(sizes(tmp_path)[1]) == left


def test_parts_are_watched_where_their_whole_is_not(tmp_path):
    record(tmp_path, lambda step, w: {"q": w[:2], "k": w[2:4], "qkv": w})
    assert sizes(tmp_path, ["q", "k"]) == (20, {})


def test_views_with_some_numbers_in_common_are_refused(tmp_path):
    record(tmp_path, lambda step, w: {"q": w[:3], "k": w[2:]})
    with pytest.raises(InputError, match="has q and k with 33% of the numbers of q in common"):
        Series.open(tmp_path)
    assert sizes(tmp_path, ["q"]) == (15, {})


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    "names",
    [
        ["transformer.wte.weight", "lm_head.weight"],
        ["model.embed_tokens.weight", "lm_head.weight"],
        ["tok_embeddings.weight", "output.weight"],
        ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"],
        ["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"],
    ],
    ids=lambda names: names[0],
)
def test_copies_of_tied_embeddings_count_once(tmp_path, suffix, names):
    record(tmp_path, lambda step, w: {name: w.clone() for name in names}, suffix)
    size, left = sizes(tmp_path)
    assert (size, len(left)) == (30, len(names) - 1)
    assert all(reason.startswith("tied to ") for reason in left.values())


def test_equal_beginnings_are_no_tie(tmp_path):
    """An output that begins as a copy of the embedding, and equal layers, train on their own."""

    def make(step, w):
        return {"wte.weight": w, "lm_head.weight": w.clone() if step == 100 else w + step, "h.0.out.weight": w.clone()}

    record(tmp_path, make, "safetensors")
    assert sizes(tmp_path) == (90, {})


def test_a_tie_survives_another_way_of_saving(tmp_path):
    def make(step, w):
        later = {200: {"y": w}, 300: {"y": w.clone()}, 400: {}}
        return {"x": w, **later.get(step, {"y": w})}

    record(tmp_path, make)
    assert sizes(tmp_path) == (30, {"y": "tied to x"})


@pytest.mark.parametrize(
    ("name", "tied"), [("lm_head.weight", True), ("h.0.output.weight", False), ("mid.weight", False)]
)
def test_names_of_embeddings(name, tied):
    assert may_be_tied(name) == tied


MODULES = {
    "BatchNorm": (lambda: nn.BatchNorm1d(4), 8),
    "InstanceNorm": (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), 8),
    "spectral": (lambda: nn.utils.spectral_norm(nn.Linear(3, 4)), 16),
    "spectral, parametrised": (lambda: parametrizations.spectral_norm(nn.Linear(3, 4)), 16),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(3, 4)), 20),
    "pruned": (lambda: prune.l1_unstructured(nn.Linear(3, 4), "weight", 0.5), 16),
    "averaged": (lambda: torch.optim.swa_utils.AveragedModel(nn.Linear(3, 4)), 16),
    "attention": (lambda: nn.MultiheadAttention(4, 2), 4 * 12 + 12 + 16 + 4),
    "compiled": (lambda: torch.compile(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))), 24),
}


@pytest.mark.parametrize(("make", "size"), MODULES.values(), ids=list(MODULES))
def test_of_a_module_its_parameters_count(tmp_path, make, size):
    module = make()
    assert sum(parameter.numel() for parameter in module.parameters()) == size
    record(tmp_path, lambda step, w: module.state_dict())
    assert sizes(tmp_path)[0] == size


def reasons(**kinds):
    found = no_weights({name.replace("__", "."): TensorKind(*kind) for name, kind in kinds.items()})
    return {name: reason.text for name, reason in found.items()}


VECTOR, MATRIX, SQUARE = ((4,), "F32"), ((4, 4), "F32"), ((1, 1, 4, 4), "F32")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"h__attn__bias": SQUARE, "h__attn__masked_bias": ((), "F32")}, {"h.attn.bias", "h.attn.masked_bias"}),
        ({"h__attn__bias": VECTOR, "mask": ((3, 4, 4), "F32"), "h__c__bias": ((1, 4), "F32")}, set()),
        ({"rotary_emb__inv_freq": VECTOR, "heads__0__tril": MATRIX}, {"rotary_emb.inv_freq", "heads.0.tril"}),
        ({"ema_model__w": MATRIX, "online_model__w": MATRIX}, {"ema_model.w"}),
        (
            {"model_ema__diffusionw": MATRIX, "model__w": MATRIX, "vq__ema_w": MATRIX},
            {"model_ema.diffusionw", "vq.ema_w"},
        ),
        ({"student__w": MATRIX, "teacher__w": MATRIX, "critic_target__w": MATRIX}, {"teacher.w", "critic_target.w"}),
        (
            dict.fromkeys(("qf1_target__w", "target_critic__w", "q_net_target__w", "target_embed__w", "q__w"), MATRIX),
            {"qf1_target.w", "target_critic.w", "q_net_target.w"},
        ),
        ({"ema_gate__damping": MATRIX, "schema__w": MATRIX}, set()),
        (
            dict.fromkeys(("net__w", "net_ema__w", "b__enc__w", "b__ema_enc__w", "policy__w", "policy_old__w"), MATRIX),
            {"net_ema.w", "b.ema_enc.w", "policy_old.w"},
        ),
        (
            dict.fromkeys(("online_encoder__w", "target_encoder__w", "head__w", "target_head__w"), MATRIX),
            {"target_encoder.w", "target_head.w"},
        ),
        (
            {"source_encoder__w": MATRIX, "target_encoder__w": MATRIX, "net__w": MATRIX, "net_ema__w": VECTOR}
            | {"embed__w": MATRIX, "target_embed__w": MATRIX, "old_w": MATRIX, "w": MATRIX},
            set(),
        ),
        (
            dict.fromkeys(("queue", "image_queue", "dino_loss__center", "centers", "a__center"), MATRIX),
            {"queue", "image_queue", "dino_loss.center"},
        ),
        (
            {"obs_rms__mean": VECTOR, "obs_rms__var": VECTOR, "obs_rms__count": ((), "F64"), "latent__mean": VECTOR}
            | {"norm__running_mean": VECTOR, "norm__count": ((1,), "F64"), "_mean": VECTOR, "n": VECTOR},
            {"obs_rms.mean", "obs_rms.var", "obs_rms.count", "norm.running_mean", "norm.count"},
        ),
        (
            {"num_updates": ((), "F32"), "c__epoch": ((1,), "F32"), "b__iterations": VECTOR, "step_size": ((), "F32")},
            {"num_updates", "c.epoch"},
        ),
        (
            dict.fromkeys(("q1_target__w", "q1__w", "critic_targ__w", "embed__w", "embed_target__w"), MATRIX),
            {"q1_target.w"},
        ),
        (
            dict.fromkeys(("enc__w", "enc_m__w", "text_queue", "proj_m__w", "_ema__w"), MATRIX),
            {"enc_m.w", "text_queue", "_ema.w"},
        ),
        (dict.fromkeys(("enc__w", "enc_m__w", "kv__k_cache"), MATRIX) | {"q": VECTOR}, {"kv.k_cache"}),
        (dict.fromkeys(("enc__w", "enc_m__w"), MATRIX), set()),
        (
            dict.fromkeys(
                ("q__ema_embed_sum", "q__ema_dw", "q___ema_mean", "sae__usage_ema", "q__ema_embedding_avg"), VECTOR
            )
            | {"gate__ema_expansion_matrix": MATRIX, "schema": VECTOR, "ema_gate": MATRIX},
            {"q.ema_embed_sum", "q.ema_dw", "q._ema_mean", "sae.usage_ema", "q.ema_embedding_avg"},
        ),
        (
            {"vq__codebook": MATRIX, "vq__ema_cluster_size": VECTOR, "vq__usage_counts": VECTOR, "lm__codebook": MATRIX}
            | {"count": ((), "F32"), "batch_count": ((), "F32"), "count_head": MATRIX, "x__count": VECTOR},
            {"vq.codebook", "vq.ema_cluster_size", "vq.usage_counts", "count", "batch_count"},
        ),
        (
            {
                "loss__mean_value": ((), "F32"),
                "loss__weight": ((), "F32"),
                "a__weight": ((1,), "F32"),
                "max_value": VECTOR,
                "mse__sum_squared_error": ((), "F32"),
                "sum_error": VECTOR,
            },
            {"loss.mean_value", "loss.weight", "mse.sum_squared_error"},
        ),
        (
            dict.fromkeys(("b__conv_1__w", "ema_b_conv_1_w", "ema_gate", "ema_w", "w"), MATRIX) | {"ema_b_w": VECTOR},
            {"ema_b_conv_1_w", "ema_w"},
        ),
        ({"net___fsdp_wrapped_module___flat_param": VECTOR, "w": MATRIX}, {"net._fsdp_wrapped_module._flat_param"}),
        (
            {
                "c__weight": MATRIX,
                "c__u0": ((1, 4), "F32"),
                "c__sv0": ((1,), "F32"),
                "gru__u0": VECTOR,
                "mapping__w_avg": VECTOR,
            },
            {"c.u0", "c.sv0", "mapping.w_avg"},
        ),
        (
            {"vq__embed": MATRIX, "vq__embed_avg": MATRIX, "vq__cluster_size": VECTOR, "lm__embed": MATRIX}
            | {"mimi__embed_sum": MATRIX, "mimi__cluster_usage": VECTOR},
            {"vq.embed", "vq.embed_avg", "vq.cluster_size", "mimi.embed_sum", "mimi.cluster_usage"},
        ),
        (
            {
                "moe__router__expert_bias": VECTOR,
                "moe__gate__e_score_correction_bias": VECTOR,
                "moe__experts__bias": VECTOR,
            }
            | {
                "moe__tokens_per_expert": VECTOR,
                "bn__avg_mean": VECTOR,
                "mlp__expert_bias": MATRIX,
                "g__balancing_biases": VECTOR,
            },
            {"moe.router.expert_bias", "moe.gate.e_score_correction_bias", "moe.tokens_per_expert", "bn.avg_mean"}
            | {"g.balancing_biases"},
        ),
        (dict.fromkeys(("grads__w", "w", "w__grad", "h__grads__w", "grad_proj__w"), MATRIX), {"grads.w", "w.grad"}),
        ({"train_losses": VECTOR, "net__w": MATRIX, "net__loss": VECTOR, "loss": MATRIX}, {"train_losses"}),
        (
            {"blocks__0__attn__IGNORE": ((), "F32"), "blocks__0__attn__mask": MATRIX, "h__mask": ((3, 4), "F32")},
            {"blocks.0.attn.IGNORE", "blocks.0.attn.mask"},
        ),
        ({"bn__moving_mean": VECTOR, "bn__moving_variance": VECTOR}, {"bn.moving_mean", "bn.moving_variance"}),
        (
            {
                "c__weight": MATRIX,
                "c__weight_fake_quant__scale": VECTOR,
                "c__activation_post_process__activation_post_process__min_val": ((), "F32"),
                "activation_post_process_3__eps": VECTOR,
            },
            {
                "c.weight_fake_quant.scale",
                "c.activation_post_process.activation_post_process.min_val",
                "activation_post_process_3.eps",
            },
        ),
        ({"weight_g": VECTOR, "weight_v": MATRIX}, set()),
        ({"weight_orig": MATRIX, "weight_u": VECTOR, "weight_v": VECTOR}, {"weight_u", "weight_v"}),
        ({"optimizer__state__0__m": MATRIX, "app__optim__x": MATRIX}, {"optimizer.state.0.m", "app.optim.x"}),
        (
            {"w__exp_avg": MATRIX, "w__exp_avg_sq_row": VECTOR, "w__step": ((), "F32")},
            {"w.exp_avg", "w.exp_avg_sq_row", "w.step"},
        ),
        ({"state__0__momentum_buffer": MATRIX, "step": ((), "F32")}, {"state.0.momentum_buffer"}),
        ({"l__weight": ((4, 4), "I8"), "l__SCB": VECTOR}, {"l.weight", "l.SCB"}),
        ({"l__qweight": ((4, 4), "I32"), "l__scales": VECTOR, "norm__weight": VECTOR}, {"l.qweight", "l.scales"}),
        ({"l__weight": ((4, 4), "U8"), "l__weight__absmax": VECTOR}, {"l.weight", "l.weight.absmax"}),
        ({"l__W_q": ((4, 4), "U8"), "l__scale": VECTOR, "l__zero": VECTOR}, {"l.W_q", "l.scale", "l.zero"}),
        (
            {"l__weight___data": ((4, 4), "I8"), "l__weight___scale": VECTOR, "l__input_scale": ((), "F32")},
            {"l.weight._data", "l.weight._scale", "l.input_scale"},
        ),
        ({"l__codes": ((4, 4, 2), "I16"), "l__codebooks": MATRIX, "n__zero": VECTOR}, {"l.codes", "l.codebooks"}),
        ({"l__weight": MATRIX, "l__weight_2": ((4,), "DTENSOR")}, {"l.weight_2"}),
        ({"l__weight": ((4, 4), "F8_E4M3"), "l__weight_scale_inv": MATRIX}, {"l.weight", "l.weight_scale_inv"}),
        ({"attn__scale": VECTOR, "attn__weight": MATRIX, "logit_scale": ((), "F32")}, set()),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else None,
)
def test_names_of_buffers_and_of_parameters_that_look_like_some(kinds, expected):
    assert set(reasons(**kinds)) == expected


ENDS = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.mark.parametrize(
    ("weights", "others"),
    [
        # As what converts Flax's, Orbax's, TensorFlow's and Keras' checkpoints names their arrays.
        ({"params.w": MATRIX}, {"opt_state.0.mu.w": MATRIX, "opt_state.0.nu.w": MATRIX, "batch_stats.bn.mean": VECTOR}),
        ({"params/w": MATRIX}, {"opt_state/0/mu/w": MATRIX, "batch_stats/bn/var": VECTOR, "ema_params/w": MATRIX}),
        ({"l/~/w": MATRIX, "bn/~/scale": VECTOR}, {"bn/~/mean_ema.average": VECTOR, "bn/~/var_ema.hidden": VECTOR}),
        (
            {"encoder.w": MATRIX},
            {"state.param_states.encoder.w.v_row": VECTOR, "state.param_states.encoder.w.m": MATRIX},
        ),
        (
            {"l/kernel": MATRIX, "bn/gamma": VECTOR},
            {"l/kernel/Adam": MATRIX, "l/kernel/Adam_1": MATRIX, "beta1_power": ((), "F32"), "bn/moving_mean": VECTOR},
        ),
        ({"l/kernel": MATRIX}, {"l/kernel/adam_m": MATRIX, "l/kernel/ExponentialMovingAverage": MATRIX}),
        (
            {f"model/l/kernel{ENDS}": MATRIX},
            {
                f"model/l/kernel/.OPTIMIZER_SLOT/optimizer/m{ENDS}": MATRIX,
                f"optimizer/learning_rate{ENDS}": ((), "F32"),
                f"model/bn/moving_variance{ENDS}": VECTOR,
            },
        ),
        (
            {"model_weights/l/l/kernel:0": MATRIX},
            {"optimizer_weights/Adam/l/kernel/m:0": MATRIX, "model_weights/bn/bn/moving_mean:0": VECTOR},
        ),
        (
            {
                "layers/dense/vars/0": MATRIX,
                "layers/dense/vars/1": VECTOR,
                "layers/batch_normalization_1/vars/0": VECTOR,
            },
            {f"layers/batch_normalization_1/vars/{place}": VECTOR for place in (1, 2)} | {"optimizer/vars/2": MATRIX},
        ),
        # As distributed checkpoints of Composer, torchtitan and Megatron do.
        (
            {"state.model.w": MATRIX},
            {"state.optimizers.Adam.state.w.m": MATRIX, "state.train_metrics.loss": ((), "F32"), "rng.0.x": VECTOR}
            | {"state.rng.0.numpy": VECTOR, "state.timestamp.batch": ((), "F32"), "state.other.w": MATRIX},
        ),
        ({"w": MATRIX}, {"optimizer.state.w.m": MATRIX, "lr_scheduler.last": VECTOR, "dataloader.x": VECTOR}),
        ({"w": MATRIX, "rngs.w": MATRIX}, {"rng_state": VECTOR}),
        ({"model.w": MATRIX}, {"optim.param_groups.0.lr": ((), "F32"), "scaler.scale": ((), "F32"), "best": VECTOR}),
        (
            {"net.w": MATRIX, "opt_model.decoder.w": MATRIX},
            {"opt.state.w.p0": MATRIX, "optimizer_g.state.w.GG": MATRIX, "d_opt.state.w.Q": MATRIX},
        ),
        # Modules may be called so.
        (
            dict.fromkeys(
                ("model.w", "scaler.w", "dataloader.w", "head.w", "state.w", "vars.0", "batch_norm.0"), MATRIX
            ),
            {},
        ),
    ],
)
def test_what_other_libraries_and_trainers_keep_beside_weights_is_none(weights, others):
    kinds = {name: TensorKind(*kind) for name, kind in (others | weights).items()}
    assert set(no_weights(kinds)) == set(others)
    assert select_weights(kinds, ["*"]).matched == tuple(weights)


def test_what_attention_writes_in_place_of_masked_scores_is_no_divergence(tmp_path):
    never = {"attn.IGNORE": torch.tensor(-torch.inf), "attn.mask": torch.full((4, 4), -torch.inf).triu(1)}
    record(tmp_path, lambda step, w: {"w": w, **never})
    assert sizes(tmp_path)[0] == 30
    assert len(list(Series.open(tmp_path).updates())) == len(STEPS) - 1
    assert verify_series(tmp_path).findings == ()


def test_a_buffer_is_watched_where_a_pattern_asks_for_nothing_else():
    kinds = {"w": TensorKind(*MATRIX), "bn.running_mean": TensorKind(*VECTOR), "n": TensorKind((), "I64")}
    assert select_weights(kinds, ["*"]).matched == ("w",)
    assert select_weights(kinds, ["*running_mean"]).matched == ("bn.running_mean",)
    assert select_weights(kinds, ["w", "bn.*"]).matched == ("w", "bn.running_mean")
    with pytest.raises(
        InputError, match=r"'n' matches nothing; the tensors are w; left out are .*n \(I64: not of a float"
    ):
        select_weights(kinds, ["n"])
    only = {"ema.w": TensorKind(*MATRIX)}
    with pytest.raises(
        InputError, match=r"'\*' matches nothing; the tensors are none; left out are ema\.w \(moving av"
    ):
        select_weights(only, ["*"])
    assert select_weights(only, ["ema.*"]).matched == ("ema.w",)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_complex_numbers_are_pairs_of_reals(tmp_path, suffix):
    walk = record(tmp_path, lambda step, w: {"z": torch.complex(w, w.flip(0)), "s": torch.complex(w, w)[0, 0]}, suffix)
    series = Series.open(tmp_path)
    assert series.layout.size == 62
    updates_TP = torch.stack([update.update_P for update in series.updates()])
    wide = walk.double().numpy()
    rows = np.concatenate([(wide + 1j * wide[:, ::-1]).reshape(4, -1), (wide + 1j * wide)[:, :1, 0]], 1)
    differences = np.diff(rows, axis=0)
    np.testing.assert_allclose(
        (updates_TP @ updates_TP.T).numpy(), (differences.conj() @ differences.T).real, rtol=1e-12
    )
    for size in (1, 7, 62):
        blocks = [torch.stack([update.update_P for update in block.updates()]) for block in series.blocks(size)]
        torch.testing.assert_close(torch.cat(blocks, 1), updates_TP, rtol=0, atol=0)
    assert verify_series(tmp_path).findings == ()


def test_views_that_PyTorch_turns_when_read_are_read_turned(tmp_path):
    record(tmp_path, lambda step, w: {"z": torch.complex(w, w).conj(), "i": torch.complex(w, w).conj().imag})
    series = Series.open(tmp_path)
    (_, first_P, _), *_ = series.vectors()
    parts = series.layout.split(first_P)
    torch.testing.assert_close(parts["z"][..., 1], -parts["z"][..., 0])
    torch.testing.assert_close(parts["i"], parts["z"][..., 1])
    assert verify_series(tmp_path).findings == ()


def odd_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "sparse": torch.eye(3).to_sparse(),
            "rows": torch.eye(3).to_sparse_csr(),
            "meta": torch.empty(3, device="meta"),
            "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            "jagged": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
            "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            "float8": torch.ones(3).to(torch.float8_e5m2),
            "float4": torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
            "expanded": torch.zeros(1).expand(10**12),
            "integer": torch.ones(3, dtype=torch.int8),
            "flags": torch.ones(3, dtype=torch.bool),
        }


def test_tensors_that_are_no_plain_numbers_are_left_out_by_name(tmp_path):
    odd = odd_tensors()
    record(tmp_path, lambda step, w: {"w": w, **odd})
    size, left = sizes(tmp_path)
    assert (size, set(left)) == (30, set(odd))
    assert left["expanded"] == "EXPANDED: few numbers in many places, write a copy first"
    assert left["float8"] == "FLOAT8_E5M2: quantised, write it as bfloat16 first"
    assert left["sparse"] == "SPARSE_COO: write it dense first"
    assert left["integer"] == "I8: not of a floating type"
    for name in odd:
        with pytest.raises(InputError, match=rf"'{name}' matches nothing; the tensors are w; left out are .*{name} \("):
            Series.open(tmp_path, [name])
    found = verify_series(tmp_path)
    assert found.findings == ()
    assert found.tensors == ("flags", "integer", "w")


def test_float8_in_safetensors_is_left_out(tmp_path):
    record(tmp_path, lambda step, w: {"w": w, "low": w.to(torch.float8_e4m3fn)}, "safetensors")
    assert sizes(tmp_path) == (30, {"low": "F8_E4M3: quantised, write it as bfloat16 first"})


def test_weights_without_numbers_are_refused(tmp_path):
    record(tmp_path, lambda step, w: {"w": w[:0]})
    with pytest.raises(InputError, match=r"has no numbers in w: are its weights in parts elsewhere \(ZeRO-3\)\?"):
        Series.open(tmp_path)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_prefixes_of_wrappers_may_come_and_go(tmp_path, suffix):
    prefixes = dict(zip(STEPS, ["_orig_mod.module.", "module.", "", "module._orig_mod."], strict=True))
    walk = record(tmp_path, lambda step, w: {f"{prefixes[step]}a.w": w, f"{prefixes[step]}b": w[0].clone()}, suffix)
    series = Series.open(tmp_path, ["a.w"])
    updates = torch.stack([update.update_P for update in series.updates()])
    torch.testing.assert_close(updates, walk.double().diff(dim=0).flatten(1), rtol=0, atol=0)
    assert verify_series(tmp_path).findings == ()


@pytest.mark.parametrize(
    ("stored", "plain"),
    [
        (["module.a", "module.b"], ["a", "b"]),
        (["module.a", "b"], ["module.a", "b"]),
        (["n_averaged", "module.a"], ["n_averaged", "a"]),
        (["net._orig_mod.a", "net.b"], ["net.a", "net.b"]),
        (["_orig_mod.a", "a"], ["_orig_mod.a", "a"]),
        (["a._fsdp_wrapped_module._checkpoint_wrapped_module.w"], ["a.w"]),
        (["modules.a"], ["modules.a"]),
        ([], []),
    ],
)
def test_plain_names(stored, plain):
    assert plain_names(stored) == dict(zip(plain, stored, strict=True))


def test_names_that_change_otherwise_are_refused(tmp_path):
    record(tmp_path, lambda step, w: {("h." if step < 300 else "layers.") + "w": w})
    with pytest.raises(InputError, match=r"step_300\.pt has no tensor 'h\.w', which other .*has layers\.w instead"):
        list(Series.open(tmp_path).updates())


def test_weights_that_come_later_are_refused_and_buffers_are_not(tmp_path):
    def make(step, w):
        return {"w": w} if step < 300 else {"w": w, "new.w": w.clone(), "rope.inv_freq": torch.ones(2)}

    record(tmp_path, make)
    with pytest.raises(InputError, match=r"step_300\.pt has new\.w, which the first snapshot has not"):
        list(Series.open(tmp_path).updates())
    assert sizes(tmp_path, ["w"]) == (30, {})
