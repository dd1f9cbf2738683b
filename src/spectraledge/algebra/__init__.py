"""Pure mathematics of finite groups: tables, representations, Fourier analysis, and which group a table is."""

from spectraledge.algebra.characters import (
    FREQUENCY,
    Characters,
    cyclic_characters,
    irreducible_characters,
    unit_characters,
    unit_turns,
    walsh_characters,
)
from spectraledge.algebra.discovery import Discovery, discover
from spectraledge.algebra.extensions import groups_of_order
from spectraledge.algebra.finite_groups import (
    Classes,
    Group,
    check_group,
    conjugacy_classes,
    direct_product,
    group_from_table,
)
from spectraledge.algebra.fourier import (
    character_shares,
    exceeds_rounding,
    real_characters,
    spectrum_of_means,
    without_rounding,
)
from spectraledge.algebra.group_names import Identified, candidate_names, identify
from spectraledge.algebra.isomorphism import element_colours, fingerprint, isomorphism
from spectraledge.algebra.isotopes import Labels, as_group, group_labels, separation
from spectraledge.algebra.isotypic import (
    PAIR_ELEMENTS,
    IsotypicParts,
    coset_projector,
    double_cosets,
    isotypic_parts,
)
from spectraledge.algebra.latin_squares import is_latin, random_latin_square
from spectraledge.algebra.named_groups import (
    affine,
    alternating,
    cyclic,
    dicyclic,
    dihedral,
    named_group,
    quaternion,
    symmetric,
    units,
)
from spectraledge.algebra.primes import (
    discrete_logarithms,
    is_prime,
    prime_factors,
    primitive_root,
    require_prime,
    root_of_minus_one,
)
from spectraledge.algebra.representations import (
    CharacterTable,
    Representation,
    character_table,
    fourier_transform,
    inverse_fourier_transform,
    irreducible_representations,
)
from spectraledge.algebra.subgroups import SubgroupClass, Subgroups, subgroup, subgroups, with_conjugates
from spectraledge.algebra.subspace_names import subspace_names
from spectraledge.algebra.walsh import cube, parity, subsets, walsh_transform

__all__ = [
    "FREQUENCY",
    "PAIR_ELEMENTS",
    "CharacterTable",
    "Characters",
    "Classes",
    "Discovery",
    "Group",
    "Identified",
    "IsotypicParts",
    "Labels",
    "Representation",
    "SubgroupClass",
    "Subgroups",
    "affine",
    "alternating",
    "as_group",
    "candidate_names",
    "character_shares",
    "character_table",
    "check_group",
    "conjugacy_classes",
    "coset_projector",
    "cube",
    "cyclic",
    "cyclic_characters",
    "dicyclic",
    "dihedral",
    "direct_product",
    "discover",
    "discrete_logarithms",
    "double_cosets",
    "element_colours",
    "exceeds_rounding",
    "fingerprint",
    "fourier_transform",
    "group_from_table",
    "group_labels",
    "groups_of_order",
    "identify",
    "inverse_fourier_transform",
    "irreducible_characters",
    "irreducible_representations",
    "is_latin",
    "is_prime",
    "isomorphism",
    "isotypic_parts",
    "named_group",
    "parity",
    "prime_factors",
    "primitive_root",
    "quaternion",
    "random_latin_square",
    "real_characters",
    "require_prime",
    "root_of_minus_one",
    "separation",
    "spectrum_of_means",
    "subgroup",
    "subgroups",
    "subsets",
    "subspace_names",
    "symmetric",
    "unit_characters",
    "unit_turns",
    "units",
    "walsh_characters",
    "walsh_transform",
    "with_conjugates",
    "without_rounding",
]
