"""One analysed run, read from its folder: what claims and reports are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from spectraledge.analyses.selection_tables import described, named
from spectraledge.display import Displayed
from spectraledge.models import LOSSES, TransformerConfig
from spectraledge.tasks import task_title
from spectraledge.training import OPTIMIZERS, RunConfig
from spectraledge.trajectory import Manifest


@dataclass(frozen=True)
class RunResult(Displayed):
    """One analysed run.

    Attributes:
        config: Its configuration.
        manifest: Its manifest.
        metrics: One row per evaluation: step, losses, accuracies, gradient_norm, weight_norm.
        structure: Name of the task's own basis ("output" if it has no group); of a joint one, of its last part.
        formula: The operation as a person writes it.
        parameters: How many numbers are watched, P.
        tables: What its analyses made, by name, and for joint runs `PARTS`; see `table`.
        after: Task of the run whose trunk it starts from; "" where it starts from weights at random.
    """

    kind = "run"

    config: RunConfig
    manifest: Manifest
    metrics: pd.DataFrame
    structure: str
    formula: str
    parameters: int
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    after: str = ""

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by name, one without rows and columns where it was not measured."""
        return self.tables.get(name, pd.DataFrame())

    def with_tables(self, **tables: pd.DataFrame) -> "RunResult":
        """Return the same run with some tables in place of its own."""
        return replace(self, tables={**self.tables, **tables})

    @property
    def spectrum(self) -> pd.DataFrame:
        """See `SpectrumTables`."""
        return self.table("spectrum")

    @property
    def edge(self) -> pd.DataFrame:
        """See `SpectrumTables`."""
        return self.table("edge")

    @property
    def modes(self) -> pd.DataFrame:
        """Shares, peaks and waves of every direction; see `ModesResult`."""
        return named(self.table("modes"))

    @property
    def waves(self) -> pd.DataFrame:
        """See `ModesResult`."""
        return self.table("waves")

    @property
    def characters(self) -> pd.DataFrame:
        """See `ModesResult`."""
        return named(self.table("characters"))

    @property
    def selection(self) -> pd.DataFrame:
        """See `selection_table`."""
        return described(self.table("selection"))

    @property
    def keys(self) -> pd.DataFrame:
        """See `key_table`."""
        return named(self.table("keys"))

    @property
    def contrasts(self) -> pd.DataFrame:
        """See `contrast_table`."""
        return self.table("contrasts")

    @property
    def moves(self) -> pd.DataFrame:
        """See `move_table`."""
        return self.table("moves")

    @property
    def frequencies(self) -> pd.DataFrame:
        """See `frequency_table`."""
        return self.table("frequencies")

    @property
    def agreement(self) -> pd.DataFrame:
        """See `agreement_table`."""
        return self.table("agreement")

    @property
    def probes(self) -> pd.DataFrame:
        """See `probe_table`."""
        return self.table("probes")

    @property
    def course(self) -> pd.DataFrame:
        """See `CourseTables`."""
        return self.table("course")

    @property
    def changes(self) -> pd.DataFrame:
        """See `CourseTables`."""
        return self.table("changes")

    @property
    def run_id(self) -> str:
        """Name of its folder."""
        return self.config.run_id

    @property
    def title(self) -> str:
        """The run in a few words."""
        return run_title(self.config, self.formula, self.structure)

    @property
    def changed(self) -> str:
        """What sets it apart from a run that takes its own steps from the start: interventions, and where it forks."""
        return _changed(self.config)

    @property
    def grokked(self) -> bool:
        """Whether test accuracy ever reached 0.95."""
        return self.manifest.grokked_step is not None

    @property
    def modes_step(self) -> int:
        """The step at which modes were measured."""
        return int(self.modes["step"].iloc[0])


def run_title(config: RunConfig, formula: str, structure: str) -> str:
    """Say in a few words which run it is: its task and weight decay, then what it has of its own."""
    model, pairs = config.model, config.train_fraction
    parts = [
        task_title(formula, structure, model.tokens),
        f"weight decay {config.weight_decay:g}",
        "" if pairs == RunConfig.model_fields["train_fraction"].default else f"{pairs:.0%} of pairs train",
        "" if isinstance(model, TransformerConfig) else model.label,
        "" if config.optimizer == "adamw" else OPTIMIZERS[config.optimizer],
        "" if config.loss == "cross-entropy" else LOSSES[config.loss],
        _changed(config),
    ]
    return ", ".join(filter(None, parts))


def _changed(config: RunConfig) -> str:
    parts = [str(one) for one in config.interventions]
    return ", ".join([*parts, *([f"forked at step {config.fork.step:,}"] if config.fork else [])])


Runs = Sequence[RunResult]
"""Some analysed runs; a finished study's, in the order of its recipe."""
