"""`spectraledge discover`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spectraledge.algebra import Discovery, character_table
from spectraledge.algebra import discover as discovered
from spectraledge.cli.options import Json, NoSeed, Out, remark, show
from spectraledge.files import write_json
from spectraledge.tasks import TableFile, read_table_file

_SHOWN = 16
"""Order up to which labels are printed for people."""


def discover(
    table: Annotated[Path, typer.Argument(help="The table of an operation: a .csv or .npy file of numbers or names.")],
    out: Out = None,
    seed: NoSeed = 42,
    as_json: Json = False,
    labels: Annotated[
        bool | None,
        typer.Option("--labels/--no-labels", help="First row and column are names. Default: told from the table."),
    ] = None,
) -> None:
    """Find which group the table of an operation is, whatever its elements are called, or which is nearest."""
    file = read_table_file(table, square=True, labels=labels)
    if file.named != "none":
        remark(f"the first of the table's {file.named} holds names; --no-labels reads it as answers")
    found = discovered(file.numbered())
    result = _result(file, found)
    if out:
        write_json(out / "discovery.json", result)
    if as_json:
        show(result, as_json=True)
        return
    typer.echo(_sentence(found))
    show(_for_people(result), as_json=False)


def _sentence(found: Discovery) -> str:
    if found.is_group:
        order = f" (order {len(found.group)})" if found.is_named else ""
        return f"the table of {'' if found.is_named else 'a '}{found.group.name}{order}, up to names"
    bound = "" if found.is_exact else "at most "
    return (
        f"no group: nearest is {found.group.name}, distance {bound}{found.distance:.4g} "
        f"({found.changes} of {found.agreeing_MM.size} entries to change)"
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
