"""Parts of functions by representation: projectors by the definition, on elements, pairs and two-sided cosets."""

import numpy as np
import pytest
from group_support import NAMES, renamed, table_of

from spectraledge.algebra import (
    PAIR_ELEMENTS,
    coset_projector,
    double_cosets,
    group_from_table,
    irreducible_representations,
    isotypic_parts,
    named_group,
    subgroups,
)
from spectraledge.errors import InputError


@pytest.mark.parametrize("name", NAMES)
def test_projectors_are_those_of_the_matrix_entries_of_representations(name):
    group = group_from_table(renamed(table_of(name), 6))
    parts = isotypic_parts(group)
    by_name = {rho.name: rho for rho in irreducible_representations(group)}
    for part, dimension, projector in zip(parts.names, parts.dimensions_F, parts.projectors_FMM, strict=True):
        members = [by_name[each] for each in part.split("+")]
        entries = np.concatenate(
            [np.sqrt(rho.dimension / len(group)) * rho.matrices_Mdd.reshape(len(group), -1) for rho in members], axis=1
        )
        np.testing.assert_allclose(projector, entries @ entries.conj().T, atol=1e-10)
        assert dimension == entries.shape[1]
    np.testing.assert_allclose(parts.projectors_FMM.sum(axis=0), np.eye(len(group)), atol=1e-10)
    assert sum(part.count("+") + 1 for part in parts.names) == len(by_name)


@pytest.mark.parametrize("which", PAIR_ELEMENTS)
def test_functions_of_pairs_are_projected_as_by_the_whole_matrix(which):
    group = named_group("S3")
    parts = isotypic_parts(group)
    elements = PAIR_ELEMENTS[which](group)
    x = {"a": lambda a, b: a, "b": lambda a, b: b}
    inverse, times = group.inverses_M, group.table_MM
    x |= {"ab": lambda a, b: times[a, b], "ba": lambda a, b: times[b, a]}
    x |= {"ab^-1": lambda a, b: times[a, inverse[b]], "a^-1b": lambda a, b: times[inverse[a], b]}
    assert elements.tolist() == [[x[which](a, b) for b in range(6)] for a in range(6)]
    values = np.random.default_rng(0).normal(size=(6, 6))
    found = parts.split_pairs(values, elements)
    indicator = np.zeros((36, 6))
    indicator[np.arange(36), elements.ravel()] = 1 / np.sqrt(6)
    for part, projector in zip(found, parts.projectors_FMM, strict=True):
        np.testing.assert_allclose(part.ravel(), indicator @ projector @ indicator.T @ values.ravel(), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0).ravel(), indicator @ indicator.T @ values.ravel(), atol=1e-12)


def test_a_map_without_as_many_pairs_for_every_element_is_refused():
    with pytest.raises(InputError, match="has 3 pairs to each"):
        isotypic_parts(named_group("C3")).split_pairs(np.zeros((3, 3)), np.zeros((3, 3), dtype=int))


@pytest.mark.parametrize("name", ["S4", "Dic3", "C2xC6"])
def test_two_sided_cosets_are_the_orbits_of_products_from_both_sides(name):
    group = named_group(name)
    found = subgroups(group).classes
    parts = isotypic_parts(group)
    for left in found[::2]:
        for right in found[::3]:
            cosets = double_cosets(group, left.elements, right.elements)
            for x in range(len(group)):
                orbit = {int(group.table_MM[group.table_MM[h, x], k]) for h in left.elements for k in right.elements}
                assert set(np.flatnonzero(cosets == cosets[x]).tolist()) == orbit
            projector = coset_projector(cosets)
            np.testing.assert_allclose(projector @ projector, projector, atol=1e-12)
            np.testing.assert_allclose(parts.projectors_FMM @ projector, projector @ parts.projectors_FMM, atol=1e-12)


def test_functions_on_cosets_hold_a_representation_as_often_as_it_has_fixed_vectors():
    group = named_group("S4")
    representations = {rho.name: rho for rho in irreducible_representations(group)}
    parts = isotypic_parts(group)
    for subgroup in subgroups(group).classes:
        projector = coset_projector(double_cosets(group, np.array([group.identity]), subgroup.elements))
        for part, own in zip(parts.names, parts.projectors_FMM, strict=True):
            rho = representations[part]
            fixed = rho.character_M[subgroup.elements].real.mean()
            np.testing.assert_allclose(np.trace(own @ projector), rho.dimension * fixed, atol=1e-10)
