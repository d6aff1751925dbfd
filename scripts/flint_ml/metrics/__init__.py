"""Metrics of a change against those of the base: better, same or worse. Knows nothing of GitHub.

A metric is read from a file (``parse``), known by its name or a rule (``resolve``), judged against the base's with an
interval where predictions of both sides give one (``judge``, ``judge_metrics``), and all together give the verdict
(``overall``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.metrics.base_freshness import base_staleness
    from flint_ml.metrics.benchmark import (
        Benchmark,
        BenchmarkFiles,
        Predictions,
        check_benchmark,
        leakage,
        read_predictions,
        sample_ids,
    )
    from flint_ml.metrics.expected import Declared, declaration_of, parse_expected, unmatched, without_stale
    from flint_ml.metrics.figures import draw_error_distribution, draw_history, draw_plot, draw_relative_changes
    from flint_ml.metrics.groups import GroupRow, by_group, group_dict, main_scores, weakest_group
    from flint_ml.metrics.history import HistoryLine, collect_history, history_dict, history_table
    from flint_ml.metrics.intervals.bootstrap import Estimate, IntervalSettings
    from flint_ml.metrics.intervals.coverage import interval_coverage
    from flint_ml.metrics.judge import STATUS, Evidence, Judged, Overall, Row, importance, judge, judge_metrics, overall
    from flint_ml.metrics.predictions import USUAL, Pairs, read_table
    from flint_ml.metrics.read import MetricsFile, Reading, parse
    from flint_ml.metrics.rules import Amount, Applied, Rule, parse_amount, resolve
    from flint_ml.metrics.sources import (
        At,
        Stored,
        StoredFiles,
        WorkingTree,
        declared_files,
        hash_in_tree,
        is_glob,
        read_named,
        section_at,
        stored_files,
    )
    from flint_ml.metrics.user_functions import estimate_function, load_functions
    from flint_ml.metrics.wording import (
        group_findings,
        group_table,
        headline,
        interval_findings,
        metrics_table,
        name_findings,
        run_findings,
        value_findings,
    )

_HOME = {
    "Amount": "rules",
    "Applied": "rules",
    "At": "sources",
    "Benchmark": "benchmark",
    "BenchmarkFiles": "benchmark",
    "Declared": "expected",
    "Estimate": "intervals.bootstrap",
    "Evidence": "judge",
    "GroupRow": "groups",
    "HistoryLine": "history",
    "IntervalSettings": "intervals.bootstrap",
    "Judged": "judge",
    "MetricsFile": "read",
    "Overall": "judge",
    "Pairs": "predictions",
    "Predictions": "benchmark",
    "Reading": "read",
    "Row": "judge",
    "Rule": "rules",
    "STATUS": "judge",
    "Stored": "sources",
    "StoredFiles": "sources",
    "USUAL": "predictions",
    "WorkingTree": "sources",
    "base_staleness": "base_freshness",
    "by_group": "groups",
    "check_benchmark": "benchmark",
    "collect_history": "history",
    "declaration_of": "expected",
    "declared_files": "sources",
    "draw_error_distribution": "figures",
    "draw_history": "figures",
    "draw_plot": "figures",
    "draw_relative_changes": "figures",
    "estimate_function": "user_functions",
    "group_dict": "groups",
    "group_findings": "wording",
    "group_table": "wording",
    "hash_in_tree": "sources",
    "headline": "wording",
    "history_dict": "history",
    "history_table": "history",
    "importance": "judge",
    "interval_coverage": "intervals.coverage",
    "interval_findings": "wording",
    "is_glob": "sources",
    "judge": "judge",
    "judge_metrics": "judge",
    "leakage": "benchmark",
    "load_functions": "user_functions",
    "main_scores": "groups",
    "metrics_table": "wording",
    "name_findings": "wording",
    "overall": "judge",
    "parse": "read",
    "parse_amount": "rules",
    "parse_expected": "expected",
    "read_named": "sources",
    "read_predictions": "benchmark",
    "read_table": "predictions",
    "resolve": "rules",
    "run_findings": "wording",
    "sample_ids": "benchmark",
    "section_at": "sources",
    "stored_files": "sources",
    "unmatched": "expected",
    "value_findings": "wording",
    "weakest_group": "groups",
    "without_stale": "expected",
}

__all__ = [
    "STATUS",
    "USUAL",
    "Amount",
    "Applied",
    "At",
    "Benchmark",
    "BenchmarkFiles",
    "Declared",
    "Estimate",
    "Evidence",
    "GroupRow",
    "HistoryLine",
    "IntervalSettings",
    "Judged",
    "MetricsFile",
    "Overall",
    "Pairs",
    "Predictions",
    "Reading",
    "Row",
    "Rule",
    "Stored",
    "StoredFiles",
    "WorkingTree",
    "base_staleness",
    "by_group",
    "check_benchmark",
    "collect_history",
    "declaration_of",
    "declared_files",
    "draw_error_distribution",
    "draw_history",
    "draw_plot",
    "draw_relative_changes",
    "estimate_function",
    "group_dict",
    "group_findings",
    "group_table",
    "hash_in_tree",
    "headline",
    "history_dict",
    "history_table",
    "importance",
    "interval_coverage",
    "interval_findings",
    "is_glob",
    "judge",
    "judge_metrics",
    "leakage",
    "load_functions",
    "main_scores",
    "metrics_table",
    "name_findings",
    "overall",
    "parse",
    "parse_amount",
    "parse_expected",
    "read_named",
    "read_predictions",
    "read_table",
    "resolve",
    "run_findings",
    "sample_ids",
    "section_at",
    "stored_files",
    "unmatched",
    "value_findings",
    "weakest_group",
    "without_stale",
]

__getattr__ = door(__name__, _HOME)
