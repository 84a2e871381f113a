"""Faults of demosaicing: stages of ``demosaic.isp``."""

from __future__ import annotations

from benchmarks.faults.fault import Fault

DEMOSAIC = "ispdsl.programs.demosaic"
MENON = "ispdsl.programs.menon"
AHD = "ispdsl.programs.ahd"

FAULTS = (
    Fault(
        "bilinear-red-rows-for-columns",
        "axis mixed up",
        "demosaic.bilinear",
        DEMOSAIC,
        '(None, "row", "column", "diagonal"),',
        '(None, "column", "row", "diagonal"),',
    ),
    Fault(
        "bilinear-border-repeated",
        "wrong border",
        "demosaic.bilinear",
        "ispdsl.programs.ops",
        "index = torch.arange(-before, size + after, device=device)\n",
        "index = torch.arange(-before, size + after, device=device).clamp(0, size - 1)\n",
    ),
    Fault(
        "bilinear-cell-shifted",
        "off-by-one shift",
        "demosaic.bilinear",
        "ispdsl.programs.cfa",
        "before = 2 * margin + offset",
        "before = 2 * margin",
    ),
    Fault(
        "malvar-coefficient",
        "wrong constant or unit",
        "demosaic.malvar",
        DEMOSAIC,
        "(-1 / 8, 4 / 8, 5 / 8, 4 / 8, -1 / 8),",
        "(-1 / 8, 4 / 8, 6 / 8, 4 / 8, -1 / 8),",
    ),
    Fault(
        "malvar-laplacian-sign",
        "wrong sign",
        "demosaic.malvar",
        DEMOSAIC,
        "(-1 / 8, 2 / 8, 4 / 8, 2 / 8, -1 / 8),",
        "(1 / 8, 2 / 8, 4 / 8, 2 / 8, 1 / 8),",
    ),
    Fault(
        "malvar-clamped",
        "hidden clamp",
        "demosaic.malvar",
        DEMOSAIC,
        "return interpolate(mosaic, cfa, MALVAR)",
        "return interpolate(mosaic, cfa, MALVAR).clamp(min=0)",
    ),
    Fault(
        "menon-columns-without-gradient",
        "gradient cut",
        "demosaic.menon",
        MENON,
        "torch.where(rows[site], across[site], down[site])",
        "torch.where(rows[site], across[site], down[site].detach())",
    ),
    Fault(
        "menon-low-pass-sum",
        "missing normalisation",
        "demosaic.menon",
        MENON,
        "return (neighbour(field, site, 0, 0) + 2 * along(field, site, rows)) / 3",
        "return (neighbour(field, site, 0, 0) + 2 * along(field, site, rows)) / 4",
    ),
    Fault(
        "menon-red-minus-blue",
        "wrong sign",
        "demosaic.menon",
        MENON,
        "inner(blue) | {RED: middle[RED] - along(difference, RED, rows)},",
        "inner(blue) | {RED: middle[RED] + along(difference, RED, rows)},",
    ),
    Fault(
        "ahd-red-for-blue",
        "swapped channels",
        "demosaic.ahd",
        AHD,
        "for sampled in (sites.red, sites.blue))",
        "for sampled in (sites.blue, sites.red))",
    ),
    Fault(
        "ahd-tolerance-of-rows",
        "axis mixed up",
        "demosaic.ahd",
        AHD,
        "above_below = columns[measure][..., 2:, :, :]",
        "above_below = rows[measure][..., 2:, :, :]",
    ),
    Fault(
        "false-colour-one-pass",
        "parameter ignored",
        "demosaic.false_colour",
        "ispdsl.programs.false_colour",
        "for _ in range(PASSES[passes]):",
        "for _ in range(1):",
    ),
    Fault(
        "false-colour-in-place",
        "in-place on the input",
        "demosaic.false_colour",
        "ispdsl.programs.false_colour",
        "return (working + torch.cat(",
        "return (working.add_)(torch.cat(",
    ),
    Fault(
        "demosaic-menon-is-malvar",
        "dead branch",
        "demosaic.demosaic",
        DEMOSAIC,
        '"menon": menon,',
        '"menon": malvar,',
    ),
)
