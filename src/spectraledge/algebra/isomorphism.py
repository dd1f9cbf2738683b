"""Whether two finite groups are the same but for the names of their elements."""

import itertools

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra.finite_groups import Group
from spectraledge.arrays import Ints

Colours = NDArray[np.uint64]


def fingerprint(group: Group) -> str:
    """A short text that is equal for isomorphic groups, and in practice different for others.

    Definition: 64 bits of how many elements have each of the colours that `element_colours` gives. It tells all groups
    up to order 32 apart, and most of any order; `isomorphism` decides.

    Args:
        group: The group.

    Returns:
        16 hexadecimal digits.
    """
    return f"{int(_mixed(_mixed(element_colours(group)).sum(keepdims=True))[0]):016x}"


def element_colours(group: Group, fixed: tuple[int, ...] = ()) -> Colours:
    """Colours that every isomorphism keeps: equal for elements that some automorphism exchanges.

    Definition: colour refinement (Weisfeiler and Leman 1968) of products. An element x starts with its order, and takes
    up, round by round, the colours of its powers of prime exponent and of its roots, and which colours y, x·y, y·x and
    the commutator of x and y have how often together, until no more colours appear.

    Args:
        group: The group.
        fixed: Elements that start with a colour of their own each, by their place here.

    Returns:
        A number for each element, the same for the same role in any group.

    Cost: O(M²) a round, few rounds.
    """
    colours_M = _mixed(group.orders_M.astype(np.uint64))
    colours_M[list(fixed)] ^= _mixed(np.arange(len(fixed), dtype=np.uint64) + np.uint64(1 << 32))
    count = 0
    while (new_count := len(np.unique(colours_M))) > count:
        count = new_count
        by_M = _mixed(colours_M)
        together_MM = _mixed(by_M[None, :] + colours_M[group.table_MM])
        together_MM = _mixed(together_MM + colours_M[group.table_MM.T])
        together_MM = _mixed(together_MM + colours_M[group.commutators_MM])
        fresh_M = by_M + together_MM.sum(axis=1, dtype=np.uint64)
        for powers_M in group.prime_powers_PM:
            roots_M = np.zeros_like(colours_M)
            np.add.at(roots_M, powers_M, by_M)
            fresh_M = _mixed(_mixed(fresh_M + colours_M[powers_M]) + roots_M)
        colours_M = _mixed(fresh_M)
    return colours_M


def _mixed(values: Colours) -> Colours:
    """Scatter 64-bit numbers (the finaliser of SplitMix64, Steele 2014); sums of them are hashes of multisets."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Colours = mixed ^ (mixed >> np.uint64(31))
    return found


def isomorphism(source: Group, target: Group) -> Ints | None:
    """An isomorphism of groups, or None where there is none.

    Search: an element of a rarest colour is fixed and each of that colour in the other group is tried as its image; the
    colours that follow either leave no place to go, or fix more, until what is fixed generates the group. A map is
    returned only after all its products are checked; None only after all images are tried.

    Args:
        source: The group G.
        target: The group H.

    Returns:
        The image in H of every element of G, or None.

    Cost: O(M²) for each image tried: in the worst case M^(log₂ M), for most groups a few dozen.
    """
    if len(source) != len(target):
        return None
    return _extended(source, target, (), ())


def _extended(source: Group, target: Group, fixed: tuple[int, ...], images: tuple[int, ...]) -> Ints | None:
    mine_M, theirs_M = element_colours(source, fixed), element_colours(target, images)
    if (np.sort(mine_M) != np.sort(theirs_M)).any():
        return None
    inside = source.generated(fixed or (source.identity,))
    if len(inside) == len(source):
        return _checked(source, target, fixed, images)
    _, place_M, sizes = np.unique(mine_M, return_inverse=True, return_counts=True)
    outside = np.setdiff1d(np.arange(len(mine_M)), inside)
    # A rare colour leaves few images to try, a large order few elements to fix.
    element = int(outside[np.lexsort((-source.orders_M[outside], sizes[place_M[outside]]))[0]])
    for image in np.flatnonzero(theirs_M == mine_M[element]).tolist():
        found = _extended(source, target, (*fixed, element), (*images, image))
        if found is not None:
            return found
    return None


def _checked(source: Group, target: Group, fixed: tuple[int, ...], images: tuple[int, ...]) -> Ints | None:
    """The map that sends generators to their images, if it is an isomorphism."""
    image_M = np.full(len(source), -1)
    image_M[source.identity] = target.identity
    fresh = [source.identity]
    while fresh:
        x = fresh.pop()
        for generator, image in zip(fixed, images, strict=True):
            product = int(source.table_MM[x, generator])
            if image_M[product] < 0:
                image_M[product] = target.table_MM[image_M[x], image]
                fresh.append(product)
    is_one_to_one = len(np.unique(image_M)) == len(image_M)
    keeps = (image_M[source.table_MM] == target.table_MM[np.ix_(image_M, image_M)]).all()
    return image_M if is_one_to_one and keeps else None


def automorphisms(group: Group) -> Ints:
    """All automorphisms of a group: isomorphisms to itself.

    Search: every choice of images of their colours for a few generators is continued to all products, and kept if it
    is one to one and keeps the products with generators.

    Args:
        group: The group.

    Returns:
        The image of every element in each row, shape (A, M).

    Cost: O(M) time and memory for each choice tried, at worst M^(log₂ M) of them: for small groups.
    """
    generators: list[int] = []
    while len(inside := group.generated(generators or [group.identity])) < len(group):
        outside = np.setdiff1d(np.arange(len(group)), inside)
        generators.append(int(outside[np.argmax(group.orders_M[outside])]))
    colours_M = element_colours(group)
    choices = [np.flatnonzero(colours_M == colours_M[g]).tolist() for g in generators]
    images = list(itertools.product(*choices))
    images_Ag = np.array(images, dtype=np.int64).reshape(len(images), len(generators))
    maps_AM = np.full((len(images_Ag), len(group)), -1)
    maps_AM[:, group.identity] = group.identity
    reached = [group.identity]
    for x in reached:
        for number, generator in enumerate(generators):
            product = int(group.table_MM[x, generator])
            if product not in reached:
                reached.append(product)
                maps_AM[:, product] = group.table_MM[maps_AM[:, x], images_Ag[:, number]]
    kept_A = (np.sort(maps_AM, axis=1) == np.arange(len(group))).all(axis=1)
    for number, generator in enumerate(generators):
        products_AM = group.table_MM[maps_AM, images_Ag[:, number, None]]
        kept_A &= (maps_AM[:, group.table_MM[:, generator]] == products_AM).all(axis=1)
    kept_AM: Ints = maps_AM[kept_A]
    return kept_AM
