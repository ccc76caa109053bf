"""Measures: values over time, and their statistics."""

from greenproc.metrics.statistics import Statistics
from greenproc.metrics.timeseries import Point, TimeSeries

__all__ = ["Point", "Statistics", "TimeSeries"]
