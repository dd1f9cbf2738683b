"""`spectraledge discover`: which group the table of an operation is, or what a network computes of its pairs."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from spectraledge.algebra import Discovery, character_table
from spectraledge.algebra import discover as discovered
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.cli.options import Device, Json, Out, Seed, Window, remark, show
from spectraledge.devices import CPU, room_on
from spectraledge.errors import InputError
from spectraledge.files import write_json
from spectraledge.modes import energy_share
from spectraledge.modes.group_of_function import FOLDS, FunctionGroup, group_of_function
from spectraledge.observed.pair_values import PAIR_FUNCTIONS, PairValues, pair_values
from spectraledge.tasks import TableFile, grouping, read_table_file

_SHOWN = 16
"""Order up to which labels are printed for people."""

_CARRIERS = 6
"""Representations that are printed for people, at most."""


def discover(
    source: Annotated[
        Path,
        typer.Argument(
            help="The table of an operation, a .csv or .npy file of numbers or names; or a run folder, of which only "
            "what its network computes is read, no answer."
        ),
    ],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels/--no-labels", help="Of a table: first row and column are names. Default: told from the table."
        ),
    ] = None,
    step: Annotated[int | None, typer.Option(help="Of a run: snapshot to look at. Default: the last.")] = None,
    of: Annotated[
        str,
        typer.Option(
            help="Of a run: " + "; ".join(f"{name}, {words}" for name, (words, _) in PAIR_FUNCTIONS.items()) + "."
        ),
    ] = "function",
    window: Window = 20,
    edge: Annotated[int, typer.Option(min=2, help="Of a run: how many directions count as edge.")] = 3,
    nulls: Annotated[int, typer.Option(min=19, help="Of a run: turned functions that are searched as well.")] = 20,
    device: Device = "cpu",
) -> None:
    """Find the group of a table, whatever its elements are called, or of what a trained network computes."""
    if source.is_dir():
        if labels is not None:
            raise InputError(f"{source} is a run, in which nothing is named: leave out --labels and --no-labels")
        settings = AnalysisConfig.checked(step=step, window=window, edge=edge, seed=seed, device=device)
        with room_on(device):
            seen = pair_values(source, of, settings.view)
        found = group_of_function(seen.values_MMD, held_out=seen.unseen_MM, nulls=nulls, seed=seed)
        result, said, shown = _of_network(seen, of, found)
    else:
        if step is not None or of != "function":
            raise InputError(f"{source} is no run folder, and a table has no steps: leave out --step and --of")
        if device != CPU.type:
            raise InputError(f"{source} is a table, which is read on the CPU: leave out --device")
        file = read_table_file(source, square=True, labels=labels)
        if file.named != "none":
            remark(f"the first of the table's {file.named} holds names; --no-labels reads it as answers")
        of_table = discovered(file.numbered())
        result = _result(file, of_table)
        said, shown = _sentence(of_table), _for_people(result)
    if out:
        write_json(out / "discovery.json", result)
    if as_json:
        show(result, as_json=True)
        return
    typer.echo(said)
    show(shown, as_json=False)


def _sentence(found: Discovery) -> str:
    if found.is_group:
        order = f" (order {len(found.group)})" if found.is_named else ""
        return f"the table of {'' if found.is_named else 'a '}{found.group.name}{order}, up to names"
    bound = "" if found.is_exact else "at most "
    lacking = f", {'all' if found.missing == found.changes else found.missing} of them missing" if found.missing else ""
    return (
        f"no group: nearest is {found.group.name}, distance {bound}{found.distance:.4g} "
        f"({found.changes} of {found.agreeing_MM.size} entries to change{lacking})"
    )


def _result(file: TableFile, found: Discovery) -> dict[str, Any]:
    characters = character_table(found.group)
    kinds = {1: "real", 0: "complex", -1: "quaternionic"}
    return {
        "group": found.group.name if found.is_group else None,
        "is_group": found.is_group,
        "nearest": found.group.name,
        "also": list(found.also),
        "named": found.is_named,
        "distance": found.distance,
        "changes": found.changes,
        "missing": found.missing,
        "exact": found.is_exact,
        "order": len(found.group),
        "commutative": found.group.is_abelian,
        "latin_square": found.is_latin,
        "names_in_file": file.named,
        "rows": list(file.rows),
        "columns": list(file.columns),
        "answers": list(file.answers),
        "labels": {
            "rows": found.labels.rows_M.tolist(),
            "columns": found.labels.columns_M.tolist(),
            "answers": [None if element < 0 else element for element in found.labels.answers_K.tolist()],
        },
        "table": found.group.table_MM.tolist(),
        "representations": [
            {"name": characters.name(row), "dimension": int(dimension), "kind": kinds[int(indicator)]}
            for row, (dimension, indicator) in enumerate(
                zip(characters.dimensions_C, characters.indicators_C, strict=True)
            )
        ],
    }


def _for_people(result: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "the_group's_other_names": result["also"],
        "the_group_is_commutative": result["commutative"],
        "the_table_is_a_Latin_square": result["latin_square"],
        **{name: result[name] for name in ("missing", "distance", "exact")},
    }
    dimensions = [each["dimension"] for each in result["representations"]]
    shown["representations"] = [f"{dimensions.count(each)} of dimension {each}" for each in sorted(set(dimensions))]
    for kind, elements in result["labels"].items():
        known = result[kind] or range(len(elements))
        pairs = [f"{name} → {element}" for name, element in zip(known, elements, strict=True)]
        shown[f"labels_of_{kind}"] = pairs if result["order"] <= _SHOWN else "with --json, or --out FOLDER"
    return shown


def _of_network(seen: PairValues, of: str, found: FunctionGroup) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The result, in a sentence, and in lines."""
    group, high = found.discovery.group.name, float(np.quantile(found.null_B, 0.95))
    columns = found.shares.basis.subspaces, found.shares.share_KS[0], found.shares.chance_S
    parts = sorted(zip(*(column[1:-1] for column in columns), strict=True), key=lambda part: -part[1])
    own = grouping(seen.run.task, seen.run.task.structure)
    known = energy_share(seen.over_pairs()[None], own.covering(seen.run.test_N))[0]
    result = {
        "group": group if found.is_found else None,
        "forming": group if found.is_forming else None,
        "nearest": group,
        "also": list(found.discovery.also),
        "order": len(found.discovery.group),
        "step": seen.step,
        "of": of,
        "share": found.share,
        "unseen_share": found.unseen_share,
        "placed": found.placed,
        "placed_apart": found.placed_apart,
        "searches_alike": found.alike,
        "null": {"draws": len(found.null_B), "mean": float(found.null_B.mean()), "high": high, "p": found.p},
        "representations": [
            {"name": name, "share": float(share), "chance": float(chance)} for name, share, chance in parts
        ],
        "rows": found.rows_M.tolist(),
        "columns": found.columns_M.tolist(),
        "labels": {
            "rows": found.discovery.labels.rows_M.tolist(),
            "columns": found.discovery.labels.columns_M.tolist(),
        },
        "known_basis": {"name": own.name, "share": float(known)},
    }
    what = f"is of no group that can be told, nearest is {group}"
    if found.is_forming:
        what = f"is of the group {group}" if found.is_found else f"is becoming one of the group {group}"
    said = (
        f"at step {seen.step} the {of} {what} (order {result['order']}): elements found without them tell "
        f"{found.unseen_share:.0%} of what it does on unseen pairs (turned functions: {high:.0%}, p = {found.p:.2g}); "
        f"{found.placed:.0%} of these lie where they should, {found.placed_apart:.0%} beside functions of a and of b"
    )
    carried = [f"{name} {share:.3f} (chance {chance:.3f})" for name, share, chance in parts[:_CARRIERS]]
    shown = {
        "its_other_names": result["also"],
        "share_in_the_group's_functions": found.share,
        f"share_in_{own.name}": float(known),
        "searches_that_found_the_same": f"{found.alike} of {FOLDS}",
        "representations": carried,
    }
    return result, said, shown
