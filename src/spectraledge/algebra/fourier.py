"""Fourier analysis on Z_n and Z_n × Z_m of functions that may be undefined at some points."""

import numpy as np

from spectraledge.arrays import Bools, Float


def exceeds_rounding(furthest: Float, largest: Float, count: int) -> Bools:
    """Tell which functions vary by more than rounding: 4·M·ε, as much as a mean can be off by, and some.

    Args:
        furthest: Largest absolute value of each function without its mean.
        largest: The same with it.
        count: Number of values of each, M.

    Returns:
        Whether it does.
    """
    varies: Bools = furthest > 4 * count * np.finfo(np.float64).eps * largest
    return varies


def without_rounding(centred: Float, values: Float) -> Float:
    """Return functions with their mean removed, those whose variation is only rounding as exactly 0.

    Args:
        centred: Functions without their mean, shape (..., M).
        values: The same with it.

    Returns:
        Shape (..., M).
    """
    varies = exceeds_rounding(
        np.abs(centred).max(axis=-1, keepdims=True), np.abs(values).max(axis=-1, keepdims=True), values.shape[-1]
    )
    found: Float = np.where(varies, centred, 0.0)
    return found


def real_characters(order: int) -> Float:
    """Orthonormal real characters of Z_M: the constant, then cos and sin of every frequency, lowest first.

    Law: a real orthogonal matrix. The Nyquist frequency of an even M has no sine, so it has one column, the last.

    Args:
        order: Order M of the group, at least 1.

    Returns:
        Shape (M, M), a function of q in each column; column j has frequency ⌊(j + 1)/2⌋.
    """
    column = np.arange(order)
    turns = np.outer(np.arange(order), (column + 1) // 2) % order / order
    waves = np.where(column % 2 == 1, np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns))
    waves[:, 0] = 1.0
    characters: Float = waves / np.linalg.norm(waves, axis=0)
    return characters


def spectrum_of_means(means_M: Float) -> Float:
    """Power of a function on Z_M at each frequency ω = 1..⌊M/2⌋, its mean removed.

    Definition: Xu 2026, §2.5: power(ω) = |Σ_q (m_q − mean) exp(−2πi ω q / M)|². Points where the function is undefined
    (NaN: groups without members) are left out of the mean and of the sum. Filling them with 0, as the author's scripts
    do, adds the same constant to every frequency and so flattens the spectrum.

    Args:
        means_M: The function's values, shape (..., M); NaN where undefined.

    Returns:
        Powers, shape (..., ⌊M/2⌋); entry i belongs to frequency i + 1. All zero for a constant function.
    """
    defined = ~np.isnan(means_M)
    count = np.maximum(defined.sum(axis=-1, keepdims=True), 1)
    mean = np.where(defined, means_M, 0.0).sum(axis=-1, keepdims=True) / count
    centred = without_rounding(np.where(defined, means_M - mean, 0.0), np.where(defined, means_M, 0.0))
    power: Float = np.abs(np.fft.rfft(centred, axis=-1))[..., 1:] ** 2
    return power


def character_shares(picture_MM: Float) -> Float:
    """Share of a picture's energy in each pair of conjugate characters of Z_M × Z_M, its mean removed.

    A real function's energy at (ω1, ω2) equals that at (−ω1, −ω2); the two are one real plane wave and are added.

    Args:
        picture_MM: Values, shape (M, M); NaN where undefined (those points are left out of the mean and the sum).

    Returns:
        Shares, shape (M, M), index (ω1, ω2) mod M, each pair listed at both of its places; entry (0, 0) is 0, and so
        is every entry for a constant picture.
    """
    defined = ~np.isnan(picture_MM)
    mean = picture_MM[defined].mean() if defined.any() else 0.0
    centred = without_rounding(
        np.where(defined, picture_MM - mean, 0.0).ravel(), np.where(defined, picture_MM, 0.0).ravel()
    )
    energy: Float = np.abs(np.fft.fft2(centred.reshape(picture_MM.shape))) ** 2
    energy[0, 0] = 0.0
    total = energy.sum()
    if total == 0.0:
        return energy
    conjugate = np.roll(energy[::-1, ::-1], (1, 1), axis=(0, 1))
    size = energy.shape[0]
    index = np.arange(size)
    own_conjugate = (2 * index % size == 0)[:, None] & (2 * index % size == 0)[None, :]
    shares: Float = np.where(own_conjugate, energy, energy + conjugate) / total
    return shares
