"""The text form in which Prometheus reads metrics.

Source: Prometheus' documentation of its exposition formats, text format version 0.0.4.
"""

from __future__ import annotations

import math
import re
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Any

from greenproc.metrics.metric import Reading
from greenproc.metrics.statistics import Statistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

QUANTILES = {
    "0": "min",
    "0.25": "p25",
    "0.5": "p50",
    "0.75": "p75",
    "0.9": "p90",
    "0.95": "p95",
    "0.99": "p99",
    "0.999": "p999",
    "0.9999": "p9999",
    "1": "max",
}
"""What is told of the values in a window, by the share of values that are below."""

_ODD = re.compile(r"[^a-zA-Z0-9_:]")


def write_metrics(readings: list[Reading]) -> str:
    """Return *readings* in the text format. What has no value is left out.

    A slash in a name becomes an underscore. Where two names become the same, the label ``metric``
    tells them apart. Values in a window are shown as ``name_window``, by quantile.
    """
    names = [metric_name(reading.metric.name) for reading in readings]
    tally = Tally(names)
    groups: dict[str, list[str]] = {}
    for name, reading in zip(names, readings, strict=True):
        labels = {"metric": reading.metric.name} if tally[name] > 1 else {}
        for family, kind, samples in _families(name, labels, reading):
            # All samples of a name must stand together, below one head.
            group = groups.setdefault(family, _head(family, kind, reading.metric.help))
            group.extend(samples)
    text = "".join(f"{line}\n" for group in groups.values() for line in group)
    # One lone surrogate would cost Prometheus all of it.
    return text.encode("utf-8", "replace").decode()


def metric_name(name: str) -> str:
    """Return *name* with every character that Prometheus does not allow replaced by ``_``."""
    allowed = _ODD.sub("_", name)
    return f"_{allowed}" if allowed[:1].isdigit() else allowed


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Return one line: a name, its labels in braces, and a number."""
    told = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {number(value)}" if told else f"{name} {number(value)}"


def number(value: float) -> str:
    """Return *value* as Prometheus reads it."""
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _families(
    name: str, labels: dict[str, str], reading: Reading
) -> Iterator[tuple[str, str, list[str]]]:
    """Return name, kind and lines of each group of samples that a reading makes."""
    metric, value = reading.metric, reading.value
    if isinstance(value, Mapping):
        label = metric_name(metric.label or "label").replace(":", "_")
        samples = [sample(name, {**labels, label: key}, one) for key, one in value.items()]
        yield name, metric.kind, samples
    elif value is not None:
        yield name, metric.kind, [sample(name, labels, value)]
    if reading.statistics is not None:
        window = f"{name}_window"
        yield window, "gauge", _quantiles(window, labels, reading.statistics)
        yield (
            f"{window}_count",
            "gauge",
            [sample(f"{window}_count", labels, reading.statistics.count)],
        )


def _quantiles(name: str, labels: dict[str, str], statistics: Statistics[Any]) -> list[str]:
    return [
        sample(name, {**labels, "quantile": share}, getattr(statistics, part))
        for share, part in QUANTILES.items()
    ]


def _head(name: str, kind: str, help: str) -> list[str]:
    """Return the lines that introduce a name."""
    escaped = help.replace("\\", r"\\").replace("\n", r"\n")
    told = [f"# HELP {name} {escaped}"] if help else []
    return [*told, f"# TYPE {name} {kind}"]


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
