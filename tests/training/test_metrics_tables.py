"""The tables of evaluations, beside those that are made whole from all of them."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from spectraledge.files import digest, fingerprint
from spectraledge.tasks import any_task
from spectraledge.training.evaluation import Evaluation, PartEvaluation
from spectraledge.training.metrics_tables import MetricsTables, read_evaluations


def evaluations(task, count):
    rng = np.random.default_rng(0)
    return [
        Evaluation(20 * i, *rng.random(6).tolist(), tuple(PartEvaluation(p.name, *rng.random(4)) for p in task.parts))
        for i in range(count)
    ]


@pytest.mark.parametrize("name", ["add", "add+mul"])
@pytest.mark.parametrize("count", [1, 30])
def test_tables_and_digest_are_those_of_all_evaluations_at_once(tmp_path, name, count):
    task = any_task(name, modulus=7)
    seen = evaluations(task, count)
    tables = MetricsTables(seen[:-1])
    tables.add(seen[-1])
    found = tables.write(tmp_path, parts=len(task.parts) > 1)
    expected = {tmp_path / "metrics.parquet": pd.DataFrame([asdict(e) for e in seen]).drop(columns="parts")}
    if len(task.parts) > 1:
        rows = [{"step": e.step, **asdict(part)} for e in seen for part in e.parts]
        expected[tmp_path / "parts.parquet"] = pd.DataFrame(rows)
        assert read_evaluations(tmp_path, task, 20 * count) == seen
    assert len(tables) == count
    assert tables.digest == digest([asdict(e) for e in seen])
    assert found == {path: fingerprint(path) for path in expected}
    for path, table in expected.items():
        assert path.read_bytes() == table.to_parquet(index=False)
