"""Faults of statistics and of what white balance reads: stages of ``statistics.isp`` and ``awb.isp``."""

from __future__ import annotations

from benchmarks.faults.fault import Fault

STATISTICS = "ispdsl.programs.statistics"
AWB = "ispdsl.programs.awb"

FAULTS = (
    Fault(
        "histogram-knots-for-bins",
        "off-by-one shift",
        "statistics.histogram",
        STATISTICS,
        "((plane - low) / (high - low) * bins - 0.5)",
        "((plane - low) / (high - low) * bins)",
    ),
    Fault(
        "histogram-counts",
        "missing normalisation",
        "statistics.histogram",
        STATISTICS,
        "return (counts / upper.shape[-1]).to(image)",
        "return counts.to(image)",
    ),
    Fault(
        "mean-of-the-batch",
        "batch mixed up",
        "statistics.mean",
        STATISTICS,
        "result = plane.mean((-3, -2, -1), keepdim=True, dtype=torch.float64).to(plane)",
        "result = plane.mean(dtype=torch.float64).to(plane).expand(*plane.shape[:-3], 1, 1, 1)",
    ),
    Fault(
        "mean-luma-weight",
        "wrong channel weight",
        "statistics.mean",
        "ispdsl.programs.ops",
        '"linear_srgb": (0.2126, 0.7152, 0.0722),',
        '"linear_srgb": (0.2126, 0.7125, 0.0722),',
    ),
    Fault(
        "log-average-base",
        "wrong constant or unit",
        "statistics.log_average",
        STATISTICS,
        "return torch.exp2(average(torch.log2(",
        "return torch.exp(average(torch.log2(",
    ),
    Fault(
        "quantiles-unsorted",
        "wrong order of operations",
        "statistics.quantiles",
        STATISTICS,
        ".flatten(-3).sort(-1).values",
        ".flatten(-3)",
    ),
    Fault(
        "quantiles-last-rank",
        "off-by-one radius",
        "statistics.quantiles",
        STATISTICS,
        "last = ranked.shape[-1] - 1",
        "last = max(ranked.shape[-1] - 2, 0)",
    ),
    Fault(
        "saturated-sign",
        "wrong sign",
        "statistics.saturated_count",
        STATISTICS,
        "torch.sigmoid((plane - constant(threshold, plane)) /",
        "torch.sigmoid((constant(threshold, plane) - plane) /",
    ),
    Fault(
        "grey-world-of-the-batch",
        "batch mixed up",
        "awb.grey_world",
        AWB,
        "peak = levels.amax(-1, keepdim=True)\n",
        "peak = levels.amax()\n",
    ),
    Fault(
        "white-patch-percentile-without-gradient",
        "gradient cut",
        "awb.white_patch",
        AWB,
        "return _estimate((low + (high - low) * (position - left))[..., 0], image)",
        "return _estimate((low + (high - low) * (position - left).detach())[..., 0], image)",
    ),
    Fault(
        "shades-without-root",
        "missing normalisation",
        "awb.shades_of_grey",
        AWB,
        "torch.exp2(torch.log2(torch.where(lit, mean, 1.0)) / p)",
        "torch.exp2(torch.log2(torch.where(lit, mean, 1.0)))",
    ),
    Fault(
        "grey-edge-across-twice",
        "axis mixed up",
        "awb.grey_edge",
        AWB,
        "down = _smooth(_derive(padded, slopes, _down), weights, _across)",
        "down = _smooth(_derive(padded, slopes, _across), weights, _across)",
    ),
    Fault(
        "white-balance-inverted",
        "wrong sign",
        "awb.auto_white_balance",
        AWB,
        "stops = light[..., 1:2, :, :] - light",
        "stops = light - light[..., 1:2, :, :]",
    ),
)
