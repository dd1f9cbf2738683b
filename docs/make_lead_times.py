"""Write docs/results/lead-times.csv from the runs of a study: python docs/make_lead_times.py studies/paper/runs."""

import sys
from pathlib import Path

from spectraledge.analyses.lead_times import first_alarms, lead_times, read_alarm_runs

TARGET = Path(__file__).parent / "results" / "lead-times.csv"


def main() -> None:
    """Read the run folders in a folder and write the table of lead times."""
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/run.json"))
    lead_times(first_alarms(read_alarm_runs(folders))).to_csv(TARGET, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
