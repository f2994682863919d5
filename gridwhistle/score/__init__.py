"""Keep score: what the daemon opened against what really happened, in figures and pictures."""

from gridwhistle.score.found import Found, Outcome, Score
from gridwhistle.score.judge import intervals_of, keep_score
from gridwhistle.score.report import Report, as_json, cases_of, make_report, write_json
from gridwhistle.score.table import print_report, print_score

__all__ = [
    "Found",
    "Outcome",
    "Report",
    "Score",
    "as_json",
    "cases_of",
    "intervals_of",
    "keep_score",
    "make_report",
    "print_report",
    "print_score",
    "write_json",
]
