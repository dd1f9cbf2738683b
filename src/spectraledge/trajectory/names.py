"""What the names of stored tensors say: which wrappers they carry, and which tensors are no weights."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spectraledge.trajectory.formats.pickled import NESTED
from spectraledge.trajectory.formats.stored import COMPLEX, INTEGERS, REALS

WRAPPERS = frozenset({"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"})
"""Parts that torch.compile, activation checkpointing and FSDP put into names."""

_PARALLEL = "module."
"""How all names begin of a network within DistributedDataParallel, DataParallel or AveragedModel."""

_COUNTERS = {"n_averaged"}
"""What a wrapper keeps beside its network."""

_VARIABLE = re.compile(r"/\.ATTRIBUTES/VARIABLE_VALUE$|:\d+$")
"""How TensorFlow ends the names of variables."""

_OPTIMIZER = re.compile(r"optim(izers?)?|optimizer_(states?|state_dict|weights)|opt_states?")
_OF_OPTIMIZERS = {"param_groups", "param_states", "OPTIMIZER_SLOT"}
"""Parts of names within the state of an optimiser alone: of PyTorch, T5X and TensorFlow."""
_STATE = re.compile(r"(^|\.)(\w*optim\w*|(\w+_)?opt(_\w+)?)\.state\.")
"""Within the state of an optimiser of whatever name, such as that of one of two networks."""
_MOMENTS = re.compile(
    r"(max_)?exp_avg(_sq)?(_row|_col|_diff)?|exp_inf|momentum_buffer|square_avg|grad_avg|acc_(delta|grad)"
)
"""How PyTorch's and Transformers' optimisers name what they keep for each parameter."""

_POWERS = re.compile(r"beta_?[12]_power(_\d+)?")
"""Powers of its rates that TensorFlow's Adam keeps."""

_TRAINER = re.compile(r"rng(_states?)?|lr_schedulers?|train_state|(train|eval)_metrics|dataset_state")
_BESIDE_OPTIMIZER = re.compile(r"schedulers?|(grad_|amp_|loss_)?scaler|timestamp|dataloader")
"""What trainers keep at the top of a checkpoint; the latter may be modules, too, where no optimiser's state is."""

_LEVELS = ("", "state.")
"""Where the top of a checkpoint is; the latter is Composer's."""

_SHADOWS = re.compile(
    r"_?ema|ema_(model|params|state)|model_ema|shadow(_params)?|(averaged|swa)_model|teacher|momentum_encoder|"
    r"encoder_(k|momentum)|(target|(actor|critic|policy|value|q_net|qf?\d?)_target)(_net|_network|_model)?|"
    r"target_(actor|critic|policy|value|qf?\d?)|"
    r"embed_(avg|sum)|(_?ema_)?cluster_(size|usage)|d?(w|latent)_avg|avg_latent"
)
"""Averages of weights while they train, and networks that follow another one."""
_OF_AVERAGES = re.compile(
    r"_?ema_((\w+_)?(avg|sum|mean|var|std|sq|embed(dings?)?)|d?w|vals|count|codebook|loss\w*)|\w+_ema"
)
"""Names of averages of anything; Mega's layers have parameters that begin with ema_, too."""
_CODES = {"embed", "_embed", "codebook"}
"""Names of codes that are means of what was coded, where the numbers of these are beside them."""

_FOLLOWER = re.compile(
    r"(?:ema|momentum|averaged|avg|swa|old|target(?!_emb))_(?P<of>\w+)|"
    r"(?P<whose>\w+)_(?:ema|momentum|averaged|avg|swa|old|(?<!emb_)(?<!embed_)target)|(?P<beside_a_queue>\w+)_m"
)
"""Parts that name such a network where one of the same shapes without that word, or with `online`, is beside it."""

_FLAT = "_flat_param"
"""What FSDP calls the part of a network that one process holds."""

_BUFFERS = re.compile(
    r"(original_)?inv_freq|masked_bias|(causal|attn|attention|weight|bias|future|subsequent)_mask|IGNORE|"
    r"(cos|sin)_cached|rotary_(cos|sin)|freqs_cis|tril|triu|"
    r"position_ids|token_type_ids|relative_(position_index|coords_table)"
)
_STATISTICS = re.compile(r"num_batches_tracked|(running|moving)_\w+|avg_(mean|var)|(local_)?tokens_per_expert(_E)?")
_OF_STATISTICS = re.compile(r"batch_stats|(mean|var)_ema")
"""Parts under which Flax and Haiku keep them."""
_NORMALISATION = re.compile(r"((sync_)?batch_normalization(_\d+)?)\.vars\.\d+")
"""Ends of names of variables of Keras' layers: those numbered last are statistics."""
_OF_METRICS = re.compile(r"(mean|sum|max|min)_value|sum_(\w+_)?error|total_log_probs")
"""What TorchMetrics keeps, each metric in a module of its own; a mean has its weight beside it."""
_MOMENTS_OF_DATA = re.compile(r"_?(mean|var(iance)?|std|sum|sumsq|[mM]2)")
_COUNTS = ("count", "_count", "current_count", "n")
"""What normalisers of observations keep under these names is of the data where a mean and a count are side by side."""

_COUNTERS_OF_STEPS = re.compile(r"global_step|(num|n)_(steps|updates)|iterations?|epochs?|counter|count")
_NUMBERS_OF = re.compile(r"\w+_counts?")
_GRADIENTS = ("grad", "grads", "gradients")
_QUEUES = re.compile(r"(\w+_)?(queue|memory_bank)|(k|v|key|value)_cache|cache_[kv]")
"""Answers of earlier steps, to compare new ones with or to go on from."""

_ROUTERS = re.compile(r"expert_bias(_E)?|e_score_correction_bias|balancing_biases")
"""What moves the choice of experts by how often each was chosen, and gets no gradient."""

_RECORDS = re.compile(
    r"((train|val|valid|validation|test|eval)_)?(loss(es)?|acc|accs|accurac(y|ies)|ppl|metrics?|history|grad_norms?|lrs?)"
)
"""What loops keep beside weights at the top of a file."""
_OBSERVERS = re.compile(r"activation_post_process(_\d+)?|weight_fake_quant")
"""Parts in which PyTorch keeps ranges and scales while a network is trained to be quantised."""

_SPECTRAL = {"weight_u": "weight_orig", "weight_v": "weight_u"}
"""Vectors that spectral normalisation iterates, and what is beside them there and not in weight normalisation."""
_OF_BIGGAN = re.compile(r"(u|sv)\d")
"""The same as BigGAN names them, both beside a weight."""

_QUANTISED = re.compile(r"q?weight(_packed)?|base_layer|W_q|(int)?_data|codes")
_SCALES = re.compile(
    r"SCB|_?scales?|q?zeros?|zero_point|(nested_)?(absmax|quant_map)|weight_(scales?|scale_inv|zero_point)|"
    r"(input|output)_scale|scale_weight|codebooks"
)
"""As bitsandbytes, GPTQ, AWQ, compressed-tensors, HQQ (W_q), Quanto (_data) and AQLM (codes) name them."""

_UNREAD = {
    ("F8", "FLOAT8", "F4", "FLOAT4", "Q", "BITS"): "quantised, write it as bfloat16 first",
    ("SPARSE",): "write it dense first",
    ("EXPANDED",): "few numbers in many places, write a copy first",
    ("META",): "no numbers",
    ("DTENSOR",): "a part of what several processes hold, write its full_tensor() first",
}
"""Why types are not read, and what to do, by how their names begin."""

_TIED = re.compile(
    r"(^|[._])(lm_head|head|unembed\w*|embed\w*|emb|wte|tok\w*|word\w*|shared|vocab\w*|logits|output\w*|decoder|encoder|"
    r"proj_out|generator|classifier|predictions)([._]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TensorKind:
    """Shape and type of a stored tensor.

    Attributes:
        shape: Its shape.
        dtype: Its type by the name that safetensors files use, such as "F32", or what it is instead of plain numbers.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def reals(self) -> int:
        """How many real numbers those of a floating type are; a complex number is a pair of them."""
        return self.size * (1 if self.dtype in REALS else 2 if self.dtype in COMPLEX else 0)

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True)
class Reason:
    """Why a tensor is no weight.

    Attributes:
        text: In words.
        certain: Whether it cannot be read as a weight, whatever a pattern says; else its name alone says so.
    """

    text: str
    certain: bool


def plain_names(stored: Iterable[str]) -> dict[str, str]:
    """Take from names what wrappers put into them, as far as names stay distinct.

    Args:
        stored: The names of one file.

    Returns:
        The stored name by the plain one, in the same order.
    """
    names = list(stored)
    plain = [".".join(part for part in name.split(".") if part not in WRAPPERS) for name in names]
    while (own := [name for name in plain if name not in _COUNTERS]) and all(n.startswith(_PARALLEL) for n in own):
        plain = [name.removeprefix(_PARALLEL) for name in plain]
    found = dict(zip(plain, names, strict=True))
    return found if len(found) == len(names) else {name: name for name in names}


def no_weights(kinds: Mapping[str, TensorKind]) -> dict[str, Reason]:
    """Find the tensors of a snapshot that are no weights: no plain numbers of a floating type, or buffers by name.

    A module's parameters and buffers lie side by side in a file and nothing tells them apart but their names. These
    (ours) are taken for buffers: running statistics and counters, ranges of fake quantisation, queues of earlier
    answers, moving averages and frozen copies of a network, constants of rotary embeddings and attention masks, scales
    of quantised weights, losses over the training, and whatever an optimiser or a trainer keeps. Names may be joined by
    slashes, as those of JAX and TensorFlow are.

    Args:
        kinds: Shape and type of every tensor by plain name.

    Returns:
        The reason by name.
    """
    quantised = {
        name.rpartition(".")[0]
        for name, kind in kinds.items()
        if kind.dtype not in REALS + COMPLEX and _QUANTISED.fullmatch(name.rpartition(".")[2])
    }
    quantised |= {parent.removesuffix(".weight") for parent in quantised}
    dotted = {name: _VARIABLE.sub("", name).replace("/.", "/").replace("/", ".") for name in kinds}
    alike = {dotted[name]: kind for name, kind in kinds.items()}
    beside = _beside_networks(alike)
    found = {name: _reason(dotted[name], kind, alike, quantised, beside) for name, kind in kinds.items()}
    return {name: reason for name, reason in found.items() if reason}


def is_optimizer(name: str) -> bool:
    """Tell whether a part of a name is that of an optimiser."""
    return bool(_OPTIMIZER.fullmatch(name))


def may_be_tied(name: str) -> bool:
    """Tell whether a name is one of those of input and output embeddings, which many networks tie; no layer's is."""
    parent = name.rpartition(".")[0]
    return bool(_TIED.search(parent)) and not any(map(str.isdecimal, parent.split(".")))


def _beside_networks(names: Iterable[str]) -> tuple[str, ...]:
    """Return how names begin of what a checkpoint holds beside the network.

    That is all but the network where it has a name of its own, such as "model", and what only trainers keep is there.
    """
    found: list[str] = []
    for level in _LEVELS:
        heads = {name.removeprefix(level).partition(".")[0] for name in names if name.startswith(level)}
        of_trainer = {head for head in heads if _TRAINER.fullmatch(head)}
        if any(map(is_optimizer, heads)):
            of_trainer |= {head for head in heads if is_optimizer(head) or _BESIDE_OPTIMIZER.fullmatch(head)}
        network = heads & set(NESTED)
        found += [f"{level}{head}." for head in (heads - network if network and of_trainer else of_trainer)]
    return tuple(found)


def _reason(
    name: str, kind: TensorKind, kinds: Mapping[str, TensorKind], quantised: set[str], beside: tuple[str, ...]
) -> Reason | None:
    parts = name.split(".")
    parent, last = name.rpartition(".")[0], parts[-1]
    sibling = f"{parent}." if parent else ""
    if kind.dtype in INTEGERS:
        also = ", quantised" if parent in quantised and _QUANTISED.fullmatch(last) else ""
        return Reason(f"{kind.dtype}{also}: not of a floating type", True)
    if kind.dtype not in REALS + COMPLEX:
        why = next((why for begins, why in _UNREAD.items() if kind.dtype.startswith(begins)), "no plain numbers")
        return Reason(f"{kind.dtype}: {why}", True)
    counter = last == "step" and any(f"{sibling}{moment}" in kinds for moment in ("exp_avg", "square_avg"))
    within = any(map(is_optimizer, parts[:2])) or not _OF_OPTIMIZERS.isdisjoint(parts) or _STATE.search(name)
    if counter or within or _MOMENTS.fullmatch(last) or _POWERS.fullmatch(last):
        return Reason("state of an optimiser", True)
    if _STATISTICS.fullmatch(last) or any(map(_OF_STATISTICS.fullmatch, parts)) or _is_statistic(sibling, last, kinds):
        return Reason("running statistics: buffers, no parameters", False)
    if _NUMBERS_OF.fullmatch(last) or (kind.size == 1 and _COUNTERS_OF_STEPS.fullmatch(last)):
        return Reason("counter: a buffer, no parameter", False)
    if len(kind.shape) == 1 and _RECORDS.fullmatch(name):
        return Reason("record of the training, no parameter", False)
    if _QUEUES.fullmatch(last) or (last == "center" and any("loss" in part for part in parts)):
        return Reason("answers of earlier steps: a buffer, no parameter", False)
    if any(map(_OBSERVERS.fullmatch, parts)):
        return Reason("range or scale of fake quantisation: a buffer, no parameter", False)
    if last == _FLAT:
        return Reason("what one process holds of a network, save a full state_dict instead", False)
    if parts[0] in _GRADIENTS or last == "grad":
        return Reason("gradient", False)
    if _ROUTERS.fullmatch(last) and len(kind.shape) == 1:
        return Reason("how often experts were chosen: a buffer, no parameter", False)
    of_metric = _OF_METRICS.fullmatch(last) or (last == "weight" and f"{sibling}mean_value" in kinds)
    if of_metric and kind.size == 1:
        return Reason("state of a metric: a buffer, no parameter", False)
    counted = last in _CODES and any(f"{sibling}{ema}cluster_size" in kinds for ema in ("", "ema_", "_ema_"))
    shadow = any(map(_SHADOWS.fullmatch, parts)) or _OF_AVERAGES.fullmatch(last)
    if counted or shadow or _follows(parts, kind, kinds):
        return Reason("moving average or copy of a network: no parameters", False)
    spectral = last in _SPECTRAL and f"{sibling}{_SPECTRAL[last]}" in kinds and f"{sibling}weight_orig" in kinds
    of_biggan = _OF_BIGGAN.fullmatch(last) and {f"{sibling}{one}" for one in ("u0", "sv0", "weight")} <= kinds.keys()
    if spectral or of_biggan or (last in ("_u", "_v") and "parametrizations" in parts):
        return Reason("vector of spectral normalisation: a buffer, no parameter", False)
    if _BUFFERS.fullmatch(last) or _is_mask(parts, kind):
        return Reason("mask or constant: a buffer, no parameter", False)
    if _SCALES.fullmatch(last) and (parent in quantised or parent.rpartition(".")[0] in quantised):
        return Reason("scale of quantised weights", False)
    if parent in kinds:
        return Reason("kept for a weight whose name its own goes on from: of an optimiser or an average", False)
    if f"{name}.".startswith(beside):
        return Reason("kept by a trainer beside the network", False)
    return None


def _is_mask(parts: list[str], kind: TensorKind) -> bool:
    """Tell whether a tensor is an attention mask: a square behind axes of length 1, where a bias would be a vector."""
    square = len(kind.shape) >= 2 and kind.shape[-1] == kind.shape[-2] and set(kind.shape[:-2]) <= {1}
    return square and (parts[-1] == "mask" or (parts[-1] == "bias" and len(kind.shape) > 2))


def _is_statistic(sibling: str, last: str, kinds: Mapping[str, TensorKind]) -> bool:
    """Tell whether a tensor is a moment of the data: a mean, a count, or what is beside both, or of Keras' layers."""
    if _NORMALISATION.search(f"{sibling}{last}"):
        return int(last) >= sum(name.startswith(sibling) for name in kinds) - 2
    if not (last in _COUNTS or _MOMENTS_OF_DATA.fullmatch(last)):
        return False
    means = any(f"{sibling}{mean}" in kinds for mean in ("mean", "_mean", "running_mean"))
    counts = (kinds.get(f"{sibling}{count}") for count in _COUNTS)
    return means and any(count is not None and count.size == 1 for count in counts)


def _follows(parts: list[str], kind: TensorKind, kinds: Mapping[str, TensorKind]) -> bool:
    """Tell whether a tensor is of a network that follows another one, by the name and by its twin there."""
    if len(parts) == 1 and parts[0].startswith("ema_"):
        # As MMCV keeps an average: a buffer for each weight, whose name has no dots.
        flat = parts[0].removeprefix("ema_")
        return any(twin == kind and name.replace(".", "_") == flat for name, twin in kinds.items())
    for place, part in enumerate(parts[:-1]):
        if found := _FOLLOWER.fullmatch(part):
            base = found["of"] or found["whose"] or found["beside_a_queue"]
            if found["beside_a_queue"] and not any(name.endswith("queue") for name in kinds):
                continue
            twins = (base, f"online_{base}", f"{base}_online")
            if any(kinds.get(".".join([*parts[:place], twin, *parts[place + 1 :]])) == kind for twin in twins):
                return True
    return False
