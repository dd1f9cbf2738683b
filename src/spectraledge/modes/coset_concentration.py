"""Cosets or representations: how much of functions on a group is constant on cosets, or of one representation."""

from dataclasses import dataclass

import numpy as np

from spectraledge.algebra import Group, IsotypicParts, double_cosets, isotypic_parts, subgroups, with_conjugates
from spectraledge.arrays import Float, Ints


@dataclass(frozen=True, eq=False)
class Concentration:
    """What is asked of functions on one group.

    Attributes:
        cosets: Every partition of it into left or right cosets of a subgroup, other than of itself and of the identity.
    """

    group: Group
    parts: IsotypicParts
    cosets: tuple[Ints, ...]

    @classmethod
    def of(cls, group: Group) -> "Concentration":
        """Find the subgroups and representations of a group."""
        alone = np.array([group.identity])
        proper = [each for each in with_conjugates(group, subgroups(group)) if 1 < len(each) < len(group)]
        found = [sides for each in proper for sides in ((each, alone), (alone, each))]
        partitions = {(cosets := double_cosets(group, *sides)).tobytes(): cosets for sides in found}
        return cls(group, isotypic_parts(group), tuple(partitions.values()))

    def on_cosets(self, functions_FM: Float) -> float:
        """Share of functions that is constant on the cosets of a subgroup, the best for each, by energy.

        Definition: of every function without its mean the largest share over all partitions, corrected for chance
        (0 as much as values at random have, 1 all of it); the mean of these, weighted by energy (after Stander et al.,
        arXiv 2312.06581).

        Returns:
            The share; 0 where nothing varies or there are no such subgroups.
        """
        centred_FM = functions_FM - functions_FM.mean(axis=1, keepdims=True)
        energy_F = np.square(centred_FM).sum(axis=1)
        best_F = np.full(len(functions_FM), -np.inf)
        for cosets_M in self.cosets:
            member_CM = np.arange(cosets_M.max() + 1)[:, None] == cosets_M
            held_F = np.square(centred_FM @ member_CM.T).sum(axis=1) / member_CM.sum(axis=1)[0]
            chance = (len(member_CM) - 1) / (len(cosets_M) - 1)
            best_F = np.maximum(best_F, (held_F - chance * energy_F) / (1 - chance))
        return float(best_F.sum() / energy_F.sum()) if self.cosets and energy_F.any() else 0.0

    def of_one_representation(self, functions_FM: Float) -> float:
        """Share of functions without mean in one irreducible representation, the strongest of each, by energy."""
        centred_FM = functions_FM - functions_FM.mean(axis=1, keepdims=True)
        energy_RF = np.square(self.parts.split(centred_FM.T)[1:]).sum(axis=1)
        return float(energy_RF.max(axis=0).sum() / energy_RF.sum()) if energy_RF.any() else 0.0

    def turned(self, functions_FM: Float, generator: np.random.Generator) -> Float:
        """Return other functions of the same rank in every representation, with the same energy there.

        Definition (ours): f ↦ u∗f∗v, with orthogonal elements u and v of the real group algebra, each the polar factor
        of a Gaussian one: in a representation ρ they turn the coefficients f̂(ρ) from both sides. A function on cosets
        has coefficients with a fixed vector, which turning moves away.
        Law: energies of isotypic parts and inner products of functions stay.
        """
        group = self.group
        left_M, right_M = generator.normal(size=(2, len(group)))
        left_MM, right_MM = left_M[group.quotients_MM], right_M[group.table_MM[group.inverses_M]].T
        turn_MM = _orthogonal(right_MM) @ _orthogonal(left_MM)
        turned_FM: Float = functions_FM @ turn_MM.T
        return turned_FM


def mixed(functions_FM: Float, generator: np.random.Generator) -> Float:
    """Functions that span the same, each a combination of all: turned among each other at random."""
    turned_FM: Float = _orthogonal(generator.normal(size=(len(functions_FM),) * 2)) @ functions_FM
    return turned_FM


def _orthogonal(matrix: Float) -> Float:
    """The orthogonal factor of its polar decomposition."""
    left, _, right = np.linalg.svd(matrix)
    orthogonal: Float = left @ right
    return orthogonal
