"""Synthetic runs and studies with known contents, so that reports are tested without training."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.pages.document import Chart, Rows
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import StudyConfig
from spectraledge.tasks import OPERATIONS, named_task
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

STEPS = np.arange(0, 3100, 100)
GROKKED_STEP = 2600
BASES = ("sum", "difference", "product", "dlog_sum", "output")
KINDS = {"edge": 3, "bulk": 16, "span": 20, "random": 20}
OTHER_KINDS = {"block": 20, "run_span": 20, "weights": 1, "gradient": 1, "shuffled": 5}
COURSE_STEPS = np.arange(2000, 3100, 100)
CHANGE_STEP, CHANGE_ENDS = 2400.0, (2300.0, 2500.0)
CHANGE_QUANTITIES = ("energy_share", "selection", "k_star", "trace")
SELECTED_FREQUENCIES = (26, 3)
TABLES = ("selection", "keys", "contrasts", "moves", "frequencies", "agreement", "probes", "course", "changes")
"""What is measured beside the modes."""
ERROR = '<script>alert("loss")</script> is nan & the run stopped'


class Reader(HTMLParser):
    """Words a reader sees, and every address the page names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._hidden = tag in ("script", "style")
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def rows_of(group: Rows) -> dict[str, tuple[str, ...]]:
    """Cells of each row of a table by its name."""
    return {row.cells[0]: row.cells[1:] for row in group.rows}


def drawn(chart: Chart, *columns: str) -> pd.DataFrame:
    """All rows that a chart draws which have some columns, each once, with the kinds of marks that draw them."""
    parts = {}
    for layer in chart.spec["layer"]:
        name = layer.get("data", chart.spec.get("data"))["name"]
        rows = pd.DataFrame(chart.spec["datasets"][name])
        if set(columns) <= set(rows):
            parts.setdefault(name, [rows, set()])[1].add(layer["mark"]["type"])
    found = [rows.assign(drawn=" ".join(sorted(kinds))) for rows, kinds in parts.values()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*columns, "drawn"])


def lanes(chart: Chart) -> dict[str, list[str]]:
    """Labels of a chart's lanes by their heading."""
    return {heading: list(named) for heading, named in _lane_rows(chart).items()}


def in_lane(chart: Chart, heading: str, lane: str) -> pd.DataFrame:
    """Points and bands in one lane of a chart."""
    rows = drawn(chart, "mark", "value", "row")
    return rows[np.isclose(rows["row"], _lane_rows(chart)[heading][lane])]


def _lane_rows(chart: Chart) -> dict[str, dict[str, float]]:
    axis = next(
        layer["encoding"]["y"]["axis"] for layer in chart.spec["layer"] if "labelExpr" in layer["encoding"]["y"]["axis"]
    )
    labels = ast.literal_eval(re.match(r"split\((\[.*?\])\[", axis["labelExpr"])[1])
    headings = drawn(chart, "words", "row").sort_values("row")
    found: dict[str, dict[str, float]] = {}
    for label, row in zip(labels, axis["values"], strict=True):
        above = headings[headings["row"] < row]
        found.setdefault(above["words"].iloc[-1] if len(above) else "", {})[label] = row
    return found


def make_run(task: str, *, effect: float = 0.0, seed: int = 42, weight_decay: float = 1.0) -> RunResult:
    """A run whose edge has `effect` more energy share in the task's own basis; it grokked if that is positive."""
    config = RunConfig.for_task(named_task(task), seed=seed, weight_decay=weight_decay, steps=3000)
    rng = np.random.default_rng(seed + len(task))
    structure = OPERATIONS[task].structure
    grokked = effect > 0
    manifest = Manifest(
        config=config.model_dump(mode="json"),
        config_hash=config.hash,
        status="done",
        stopped="accuracy" if grokked else "budget",
        step=3000,
        grokked_step=GROKKED_STEP if grokked else None,
        test_accuracy=0.9871 if grokked else 0.0123,
        wall_seconds=60.0,
        seeds={"weights": seed},
        environment={"python": "3.11.7", "device": "cpu", "threads": 1, "torch": "2.13.0"},
    )
    tables = {
        "spectrum": _spectrum(),
        "edge": _edge(),
        "modes": _modes(rng, structure, effect),
        "waves": _waves(config.model.tokens),
        "characters": _characters(rng, "sum" if structure == "output" else structure, effect),
        "selection": _selection(structure, effect),
        "keys": _keys(structure, effect),
        "contrasts": _contrasts(structure),
        "moves": _moves(),
        "frequencies": pd.DataFrame({"frequency": np.arange(1, 49), "edge": 1 / 48, "random": 1 / 48}),
        "agreement": _agreement(),
        "probes": _probes(effect),
        "course": _course(effect),
        "changes": _changes(grokked),
    }
    return RunResult(config, manifest, _metrics(grokked), structure, OPERATIONS[task].formula, 131_072, tables)


def make_study(folder: Path, *runs: RunResult, failed: RunConfig | None = None, error: str = "") -> StudyResult:
    configs = (*(run.config for run in runs), *([failed] if failed else []))
    config = StudyConfig(name="synthetic", runs=configs, analysis=AnalysisConfig())
    return StudyResult(config, folder, runs, {failed.run_id: error} if failed else {}, ())


def unmeasured(run: RunResult) -> RunResult:
    """The same run as if only modes, waves and spectra had been measured."""
    return run.with_tables(**dict.fromkeys(TABLES, pd.DataFrame()))


def without_bulk(run: RunResult) -> RunResult:
    """The same run as if every direction of its window were edge, and no window had an edge position."""
    return run.with_tables(
        modes=run.modes[run.modes["kind"] != "bulk"],
        characters=run.characters[run.characters["kind"] != "bulk"],
        edge=run.edge.assign(k_star=pd.array([None] * len(run.edge), dtype="Int64")),
    )


def _metrics(grokked: bool) -> pd.DataFrame:
    learned = np.where(STEPS >= GROKKED_STEP, 0.99, 0.01) if grokked else np.full(len(STEPS), 0.01)
    return pd.DataFrame(
        {
            "step": STEPS,
            "train_loss": np.exp(-STEPS / 500),
            "test_loss": 5.0,
            "train_accuracy": 1.0,
            "test_accuracy": learned,
            "gradient_norm": 1.0,
            "weight_norm": 30.0,
        }
    )


def _spectrum() -> pd.DataFrame:
    rows = [(step, k, 50.0 / k**2 * np.exp(-step / 2000)) for step in STEPS[20:] for k in range(1, 21)]
    table = pd.DataFrame(rows, columns=["step", "k", "eigenvalue"])
    # A centred window has a last eigenvalue of exactly zero, which a log axis cannot show.
    table.loc[table["k"] == 20, "eigenvalue"] = 0.0
    return table.assign(singular_value=np.sqrt(table["eigenvalue"]), share=0.05)


def _edge() -> pd.DataFrame:
    steps = STEPS[20:]
    k_star = pd.array([None, *([2] * (len(steps) - 1))], dtype="Int64")
    return pd.DataFrame({"step": steps, "k_star": k_star, "g12": 1.0, "g23": 0.5, "trace": 100.0})


def _modes(rng: np.random.Generator, structure: str, effect: float) -> pd.DataFrame:
    rows = []
    for method in ("jvp", "difference"):
        for basis in BASES:
            for kind, count in (KINDS | (OTHER_KINDS if method == "jvp" else {})).items():
                for direction in range(1, count + 1):
                    share = rng.normal(0.01, 0.002) + (effect if (kind, basis) == ("edge", structure) else 0.0)
                    number = direction + (3 if kind == "bulk" else 0)
                    peak = (26, "frequency 26", rng.uniform(0.08, 0.2))
                    rows.append((3000, kind, number, basis, *peak, share, method, 9409, 0, 0.0102))
    names = "step kind direction basis frequency subspace concentration energy_share method pairs excluded chance"
    return pd.DataFrame(rows, columns=names.split())


def _waves(modulus: int) -> pd.DataFrame:
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(modulus), np.arange(modulus), indexing="ij"))
    tables = []
    for direction, frequency in ((1, 26), (2, 3)):
        phases = np.stack([frequency * a % modulus, frequency * b % modulus], axis=1)
        # As for a basis that zero is outside of.
        phases[(a == 0) | (b == 0)] = -1
        value = np.sqrt(2) * np.cos(2 * np.pi * frequency * (a + b) / modulus)
        table = pd.DataFrame({"direction": direction, "a": a, "b": b, "value": value})
        tables.append(table.assign(phase_a=phases[:, 0], phase_b=phases[:, 1]))
    return pd.concat(tables, ignore_index=True)


def _characters(rng: np.random.Generator, basis: str, effect: float) -> pd.DataFrame:
    rows = [
        (kind, direction, basis, 26, 26, 26, rng.uniform(0.1, 0.2) + (effect if kind == "edge" else 0.0))
        for kind, count in KINDS.items()
        for direction in range(1, count + 1)
    ]
    names = "kind direction basis frequency character_a character_b character_share"
    return pd.DataFrame(rows, columns=names.split())


def _selection(structure: str, effect: float) -> pd.DataFrame:
    wave_basis = "sum" if structure == "output" else structure
    line = "difference" if structure == "difference" else "sum"
    own = 1 + effect * 10
    high = 1 + effect * 20
    rows: list[tuple[object, ...]] = [
        (structure, f"frequency {k}", False, 2, high if k in SELECTED_FREQUENCIES else 1.0, 2 / 9408)
        for k in range(1, 49)
    ]
    rows.append((structure, "frequency", True, 96, own, 0.0102))
    for basis in BASES:
        if basis != structure:
            rows.append((basis, "frequency", True, 96, own if basis == "output" else 0.98, 0.0102))
    parts = {"rest": 9024, "a": 96, "b": 96, "sum": 96, "difference": 96}
    rows += [
        (
            f"pairs of {wave_basis}",
            part,
            True,
            size,
            own if part == line and structure != "output" else 0.97,
            size / 9408,
        )
        for part, size in parts.items()
    ]
    joint = (("rest", 9024), ("sum", 96), ("dlog_sum", 95))
    rows += [("sum then dlog_sum", name, True, size, 0.9512, size / 9215) for name, size in joint]
    table = pd.DataFrame(rows, columns=["basis", "subspace", "part", "dimension", "ratio", "chance"])
    table["low"], table["high"] = table["ratio"] * 0.95, table["ratio"] * 1.05
    table["p"] = np.where(table["ratio"] > 1.2, 1e-6, 0.8)
    table["p_exact"] = np.where(table["ratio"] > 1.2, 0.001, 0.7)
    # Functions of the other diagonal have less than noise has, all else more.
    little = (table["subspace"] == "difference") & (line == "sum")
    table["random_share"] = table["chance"] * np.where(little, 0.5, 2.0)
    table["window_share"] = table["random_share"] * table["ratio"]
    return table.assign(edge_share=table["window_share"] * 1.1, step=3000, readout="residual")


def _keys(structure: str, effect: float) -> pd.DataFrame:
    rows = []
    for kind in ("edge", "random"):
        for direction in (1, 2, 3):
            for frequency in range(1, 49):
                key = effect > 0 and (frequency == 26 or (kind == "edge" and frequency == 3))
                share = (0.2 if frequency == 26 else 0.1234) * (1 if key else 0.001)
                rows.append(
                    (3000, "residual", structure, kind, direction, frequency, share, 0.005 if key else 1.0, key)
                )
    names = "step readout basis kind direction frequency share p key"
    return pd.DataFrame(rows, columns=names.split())


def _contrasts(structure: str) -> pd.DataFrame:
    places = [(readout, -1, -1, "all") for readout in ("residual", "normed", "logits")]
    places += [("residual", -1, -1, "train"), ("residual", -1, -1, "test")]
    places += [("head", layer, head, "all") for layer in (0, 1) for head in range(4)]
    rows = []
    for where in places:
        for kind, count in (("edge", 3), ("random", 5)):
            for direction in range(1, count + 1):
                share = 0.01 * direction + (0.5 if kind == "edge" and where[1:3] == (1, 2) else 0.0)
                rows.append((3000, *where, kind, direction, structure, share, 1.0))
    names = "step readout layer head inputs kind direction basis energy_share energy"
    return pd.DataFrame(rows, columns=names.split())


def _moves() -> pd.DataFrame:
    rows = [(3000, k, 40.0 if k == 0 else 9.0 / k, 0.8123, 0.3, -0.1123, 0.25, 0.31) for k in range(20)]
    names = "step direction eigenvalue adam decay cross gradient_cosine clipped_cosine"
    return pd.DataFrame(rows, columns=names.split())


def _agreement() -> pd.DataFrame:
    rows = [
        (3000, "residual", "sum", weights, moving, 48, {"edge": 0.71, "window": 0.81, "random": 0.75}[moving], 0.0002)
        for weights in ("embedding", "neurons", "logits")
        for moving in ("edge", "window", "random")
    ]
    return pd.DataFrame(rows, columns=["step", "readout", "basis", "weights", "moving", "frequencies", "rho", "p"])


def _probes(effect: float) -> pd.DataFrame:
    rows = []
    for features, columns in (("additive", 96), ("multiplicative", 95), ("both", 191), ("cross", 591)):
        for random in (False, True):
            for held_out in ("output", "rows", "none"):
                for kind in ("edge", "random"):
                    for direction in (1, 2, 3):
                        r2 = 0.1 if held_out == "none" else -0.02
                        if features == "additive" and held_out == "rows" and not random and kind == "edge":
                            r2 += effect + direction / 100
                        rows.append((3000, "residual", kind, direction, features, random, columns, held_out, r2, 0.6))
    names = "step readout kind direction features random columns held_out r2 energy_kept"
    return pd.DataFrame(rows, columns=names.split())


def _course(effect: float) -> pd.DataFrame:
    rows = []
    for step in COURSE_STEPS:
        late = effect * (step >= CHANGE_STEP)
        rows += [(step, "energy_share", "edge", k, 0.01 + late / k, np.nan, np.nan) for k in (1, 2, 3)]
        rows += [(step, "energy_share", kind, 0, 0.01, 0.005, 0.02) for kind in ("span", "random")]
        rows.append((step, "selection", "window", 0, 1 + 10 * late, 0.9 + 9 * late, 1.1 + 11 * late))
        rows += [
            (step, "k_star", "window", 0, 2.0, np.nan, np.nan),
            (step, "signal_count", "window", 0, 1.0, np.nan, np.nan),
        ]
    return pd.DataFrame(rows, columns=["step", "quantity", "kind", "direction", "value", "low", "high"])


def _changes(grokked: bool) -> pd.DataFrame:
    rows = []
    for quantity in CHANGE_QUANTITIES:
        p = 0.002 if grokked and quantity in ("energy_share", "selection") else 0.4
        leads = (GROKKED_STEP - CHANGE_STEP, GROKKED_STEP - CHANGE_ENDS[1], GROKKED_STEP - CHANGE_ENDS[0])
        leads = leads if grokked else (np.nan,) * 3
        direction = int(quantity == "energy_share")
        rows.append((quantity, direction, CHANGE_STEP, *CHANGE_ENDS, -0.1234, 0.912, p, *leads, 2, len(COURSE_STEPS)))
    names = "quantity direction step low high change share p lead lead_low lead_high block points"
    return pd.DataFrame(rows, columns=names.split())
