"""Groupings to make bases of, and projections on the subspaces of a basis, from what the basis is made of."""

import itertools

import numpy as np

from spectraledge.tasks import Grouping, grouping, named_task


def grid(order):
    """All pairs of Z_order × Z_order, grouped by their sum."""
    pairs = np.array(list(itertools.product(range(order), repeat=2)))
    return Grouping("grid", "a + b", order, pairs.sum(axis=1) % order, pairs, (1, 1))


def of_task(task, name, modulus):
    return grouping(named_task(task, modulus=modulus), name)


def project(basis, response_ND, *names):
    """Part of a response over the domain that lies in some subspaces or parts, at the covered inputs."""
    chosen_S = np.isin(np.arange(len(basis.subspaces)), basis.indices(*names))
    mean_D, centred_nD = basis.centred(response_ND)
    values_RD = basis.coefficients_GR.T @ basis.group_sums(centred_nD)
    projected_nD = np.zeros_like(centred_nD)
    if chosen_S[-1]:
        projected_nD += centred_nD - basis.indicator_nG @ (basis.coefficients_GR @ values_RD)
    if chosen_S[0]:
        projected_nD += mean_D
    inner_R = chosen_S[basis.subspace_R]
    return projected_nD + basis.indicator_nG @ (basis.coefficients_GR[:, inner_R] @ values_RD[inner_R])
