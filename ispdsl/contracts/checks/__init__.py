"""A checker for each property: it draws one legal call and raises `ViolationError` where the property does not hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ispdsl.contracts.checks import algebra, colour, geometry, gradients, noise, points, promises
from ispdsl.contracts.trial import Trial

CHECKERS: Mapping[str, Callable[[Trial], None]] = {
    "identity": points.identity,
    "idempotent": points.idempotent,
    "inverse": points.inverse,
    "round_trips": points.round_trips,
    "equivalent": points.equivalent,
    "deterministic": points.deterministic,
    "range": points.in_range,
    "linear": algebra.linear,
    "affine": algebra.affine,
    "homogeneous": algebra.homogeneous,
    "monotone": algebra.monotone,
    "lipschitz": algebra.lipschitz,
    "pointwise": geometry.local,
    "local": geometry.local,
    "global": geometry.everywhere,
    "commutes_with": geometry.commutes_with,
    "equivariant": geometry.equivariant,
    "lossless": geometry.lossless,
    "preserves": colour.preserves,
    "differentiable": gradients.differentiable,
    "denoises": noise.denoises,
    "sharpens": noise.sharpens,
    "types": promises.types,
    "batches": promises.batches,
    "precision": promises.precision,
    "exports": promises.exports,
    "agreement": promises.agreement,
}
"""By the name of the property; the last five are implied."""

NAMES = (*CHECKERS, "responds")
"""Every property that can be tested: `responds` is sought by the engine, not refuted by a checker."""
