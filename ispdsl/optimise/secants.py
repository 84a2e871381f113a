"""A linear model of residuals, learnt from every answer about them: recursive least squares with forgetting.

Where the residuals of a picture are rounded to its codes, or kinked by thresholds, a difference of two pictures says
little of a number that hardly shows; many of them together do. So each answer corrects the whole model by as much as
the model is unsure of what was asked, and what is long ago counts less. With one answer and no doubt about it this is
Broyden's update.

Sources: Plackett, "Some Theorems in Least Squares", Biometrika 37, 1950 (the recursion); Cartis, Fiala, Marteau and
Roberts, "Improving the Flexibility and Robustness of Model-Based Derivative-Free Optimization Solvers", ACM TOMS 45(3),
2019 (Gauss-Newton with regressed residuals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.space import Numbers

Floats = NDArray[np.float32]

MEMORY = 6
"""After so many answers for each number, an old one counts e times less."""

ROUGH, CURVED = 0.5, 0.05
"""What the model cannot explain: this part of the mean square of the best residuals, and of those of the move."""


@dataclass
class Secants:
    """What is seen at a move from where the model is: ``base + jacobian @ move``, more or less.

    Attributes:
        base: at no move, ``(M,)``: an estimate too, since the answer that was the best was a lucky one.
        jacobian: derivatives, ``(M, N)``.
        doubt: the covariance of a row of both, ``(1 + N, 1 + N)``, in squares of residuals.
    """

    base: Floats
    jacobian: Floats
    doubt: Numbers

    @staticmethod
    def of(residual: Floats, jacobian: Floats, ordered: NDArray[np.bool_], length: float) -> Secants:
        """A model from differences over moves of about a length."""
        square = ROUGH * float(np.mean(np.square(residual, dtype=np.float64)))
        most = square * np.concatenate([[1.0], np.where(ordered, 1 / length**2, 0.0)])
        return Secants(residual.copy(), jacobian, np.diag(most))

    def __post_init__(self) -> None:
        """What it begins with is the most that it will be in doubt."""
        self._most = np.diag(self.doubt).copy()

    def learn(self, move: Numbers, found: Floats, best: float) -> None:
        """Take an answer in.

        Args:
            move: where, ``(N,)``.
            found: what was seen there, ``(M,)``.
            best: the mean square of the best residuals.
        """
        change = found - self.base
        missed = change - self.jacobian @ move.astype(np.float32)
        rough = ROUGH * best + CURVED * float(np.mean(np.square(change, dtype=np.float64))) + 1e-30
        asked = np.concatenate([[1.0], move])
        unsure = self.doubt @ asked
        gain = unsure / (rough + asked @ unsure)
        self.base += missed * np.float32(gain[0])
        self.jacobian += np.outer(missed, gain[1:].astype(np.float32))
        kept = np.eye(asked.size) - np.outer(gain, asked)
        doubt = kept @ self.doubt @ kept.T + rough * np.outer(gain, gain)  # as Joseph wrote it: never below zero
        doubt /= 1 - 1 / (MEMORY * asked.size)
        less = np.sqrt(np.minimum(1.0, self._most / np.maximum(np.diag(doubt), 1e-300)))
        self.doubt = doubt * np.outer(less, less)

    def shift(self, move: Numbers) -> None:
        """Make it a model from where a move ends."""
        self.base += self.jacobian @ move.astype(np.float32)
        there = np.eye(move.size + 1)
        there[0, 1:] = move
        self.doubt = there @ self.doubt @ there.T

    def normal(self) -> tuple[Numbers, Numbers, float]:
        """The mean square of what the model says: of the Jacobian ``(N, N)``, with the base ``(N,)``, of the base."""
        jacobian, base, many = self.jacobian.astype(np.float64), self.base.astype(np.float64), self.base.size
        return jacobian.T @ jacobian / many, jacobian.T @ base / many, float(base @ base) / many
