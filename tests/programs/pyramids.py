"""Pyramids by dense matrices in NumPy: the independent oracle for what is built on `ispdsl.programs.pyramid`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

Array = np.ndarray


def mirrored(index: int, size: int) -> int:
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
        index = 0 if size == 1 else index
    return index


def reduction(size: int) -> Array:
    """The matrix that halves an axis: five taps at the even samples of an odd size, four between pairs of an even."""
    taps = {0: 6, -1: 4, 1: 4, -2: 1, 2: 1} if size % 2 else {0: 3, 1: 3, -1: 1, 2: 1}
    matrix = np.zeros(((size + 1) // 2, size))
    for row in range(len(matrix)):
        for offset, weight in taps.items():
            matrix[row, mirrored(2 * row + offset, size)] += weight / sum(taps.values())
    return matrix


def expansion(size: int) -> Array:
    """The matrix that interpolates a halved axis: the reduction's kernel transposed, each row scaled to a sum of 1."""
    small = (size + 1) // 2
    matrix = np.zeros((size, small))
    for row in range(size):
        if size % 2:
            taps = (
                {row // 2: 0.5, row // 2 + 1: 0.5}
                if row % 2
                else {row // 2 + k: (1, 6, 1)[k + 1] / 8 for k in (-1, 0, 1)}
            )
        else:
            taps = {row // 2: 0.75, row // 2 + (1 if row % 2 else -1): 0.25}
        for column, weight in taps.items():
            matrix[row, mirrored(column, small)] += weight
    return matrix


def gaussian(image: Array, count: int) -> list[Array]:
    levels = [image]
    for _ in range(count):
        height, width = levels[-1].shape
        levels.append(reduction(height) @ levels[-1] @ reduction(width).T)
    return levels


def laplacian(image: Array, count: int) -> list[Array]:
    levels = gaussian(image, count)
    return [fine - enlarged(small, fine.shape) for fine, small in pairwise(levels)] + levels[-1:]


def enlarged(small: Array, shape: tuple[int, ...]) -> Array:
    return expansion(shape[0]) @ small @ expansion(shape[1]).T


def collapsed(bands: list[Array]) -> Array:
    image = bands[-1]
    for band in bands[-2::-1]:
        image = band + enlarged(image, band.shape)
    return image
