"""Metrics: counters, gauges and timers, their registry, time series and statistics."""

from greenproc.metrics.counter import Counter
from greenproc.metrics.gauge import PulledCounter, PulledFamily, PullGauge, PushGauge
from greenproc.metrics.metric import Metric, Reading
from greenproc.metrics.prometheus import write_metrics
from greenproc.metrics.registry import Registry
from greenproc.metrics.statistics import Statistics
from greenproc.metrics.timer import Timer
from greenproc.metrics.timeseries import Point, TimeSeries

__all__ = [
    "Counter",
    "Metric",
    "Point",
    "PullGauge",
    "PulledCounter",
    "PulledFamily",
    "PushGauge",
    "Reading",
    "Registry",
    "Statistics",
    "TimeSeries",
    "Timer",
    "write_metrics",
]
