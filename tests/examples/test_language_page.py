"""The page of the language model shows the numbers of the tables that its run left."""

from pathlib import Path

import pandas as pd

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "language-model.md").read_text()


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(DOCS / "results" / "language-model" / "tables" / f"{name}.csv")


def test_spectra_of_the_page() -> None:
    found = table("spectra-at-steps")
    for group, rows in found.groupby("group"):
        shares = [f"{100 * value:.1f} %" for value in rows["eigenvalue_1"] / rows["trace"]]
        dimensions = [f"{value:.1f}" for value in rows["effective_dimension"]]
        assert f"| {group} | {' | '.join([*shares, *dimensions])} |" in PAGE
    agreed = table("agreement")
    assert agreed["k_star_differs"].sum() == 0
    assert agreed["difference"].max() < 4e-11
    assert f"{agreed['windows'].sum():,} windows" in PAGE


def test_functions_of_the_page() -> None:
    found = table("functions")
    found["found"] = (found["low"] > 1) & (found["q"] <= 0.05) & (found["p_exact"] <= 0.05)
    for (name, basis), rows in found.groupby(["subspace", "basis"]):
        label = name if basis == "alone" else f"{name}, beyond those above"
        last = rows.iloc[-1]
        shares = [f"{100 * last[column]:.1f} %" for column in ("window_share", "random_share")]
        ratios = [
            f"{'**' * row['found']}{row['ratio']:.2f}{'**' * row['found']} ({row['low']:.2f}–{row['high']:.2f})"
            for row in rows.to_dict("records")
        ]
        assert f"| {label} | {last['dimension']} | {' | '.join([*shares, *ratios])} |" in PAGE


def test_what_layers_share_on_the_page() -> None:
    for layer, rows in table("shared").groupby("target"):
        edge, random = (rows.loc[rows["kind"] == kind, "inclusion"] for kind in ("edge", "random"))
        cells = [f"{100 * value:.1f} %" for value in (edge.iloc[0], random.median(), random.min(), random.max())]
        assert f"| {layer} | {' | '.join(cells)} |" in PAGE


def test_links_of_the_page() -> None:
    links, again = table("links"), table("links-seed-43")
    assert len(links) == len(again) == 36
    assert f"{(links['plain'] > 0.75).sum()} of them" in PAGE
    joined = links.merge(again, on=["group", "quantity"], suffixes=("", "_43"))
    for row in joined.nsmallest(4, "p_family").to_dict("records"):
        name = f"{row['quantity'].replace('eigenvalue_', 'λ')} of {row['group']}"
        first = f"{row['plain']:.2f} | {row['within']:+.2f} | {row['p']:.3f} | {row['p_family']:.3f}"
        assert f"| {name} | {first} | {row['within_43']:+.2f} | {row['p_43']:.3f} |" in PAGE
    assert links["p_family"].nlargest(32).min() >= 0.76
    assert f"{again['p_family'].min():.3f}".removeprefix("0") in PAGE
