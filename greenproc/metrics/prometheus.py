"""The encoder of Prometheus' text exposition format.

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
"""The exported quantiles of the values in a window, and the attributes of `Statistics`."""

_ODD = re.compile(r"[^a-zA-Z0-9_:]")


def write_metrics(readings: list[Reading]) -> str:
    """Encode *readings* in the text format. Metrics without a value are omitted.

    A slash in a name becomes an underscore. If two names collide then, the label ``metric``
    distinguishes them. The statistics of a window are exported as ``name_window``, by quantile.
    """
    names = [metric_name(reading.metric.name) for reading in readings]
    tally = Tally(names)
    groups: dict[str, list[str]] = {}
    for name, reading in zip(names, readings, strict=True):
        labels = {"metric": reading.metric.name} if tally[name] > 1 else {}
        for family, kind, samples in _families(name, labels, reading):
            # The format requires all samples of a family in one group below its HELP and TYPE.
            group = groups.setdefault(family, _head(family, kind, reading.metric.help))
            group.extend(samples)
    text = "".join(f"{line}\n" for group in groups.values() for line in group)
    # Prometheus rejects the whole response for one byte that is not UTF-8, and a lone surrogate
    # has no encoding.
    return text.encode("utf-8", "replace").decode()


def metric_name(name: str) -> str:
    """Return *name* with each character that Prometheus forbids in names replaced by ``_``."""
    allowed = _ODD.sub("_", name)
    return f"_{allowed}" if allowed[:1].isdigit() else allowed


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Encode one sample line: a name, its labels in braces, and the value."""
    told = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {number(value)}" if told else f"{name} {number(value)}"


def number(value: float) -> str:
    """Encode *value* as a float of the text format."""
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _families(
    name: str, labels: dict[str, str], reading: Reading
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name, type and sample lines of each metric family of a reading."""
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
    """Return the HELP and TYPE lines of a metric family."""
    escaped = help.replace("\\", r"\\").replace("\n", r"\n")
    told = [f"# HELP {name} {escaped}"] if help else []
    return [*told, f"# TYPE {name} {kind}"]


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
