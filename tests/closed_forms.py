"""What is ⟨v h⟩ inside a 2×2 block at T_c, for the block rules made by hand?

For a spin v of a block whose four spins sum to S, with g = ⟨ss⟩ of nearest neighbours and d of diagonal ones,

    average, h = S/4:                  ⟨v h⟩ = ⟨S²⟩/16 = (1 + 2g + d)/4,
    majority, h = sign S, fair ties:   ⟨v h⟩ = ⟨|S|⟩/4 = P(|S|=4) + P(|S|=2)/2,
    decimation, h = the first spin:    ⟨v h⟩ = 1, g, g, d.

On the infinite lattice at T_c, g = 1/√2, d = 2/π (Kaufman and Onsager 1949) and P(|S|=2) = 2/π². The last
comes from the four-point function of the plaquette, ⟨ssss⟩ = 1 − 2 P(|S|=2); the other two probabilities
follow from it and ⟨S²⟩ = 16 P(|S|=4) + 4 P(|S|=2).
"""

import math

NN_CORRELATION = 1.0 / math.sqrt(2.0)
"""g = ⟨ss⟩ of nearest neighbours at T_c."""

DIAGONAL_CORRELATION = 2.0 / math.pi
"""d = ⟨ss⟩ of diagonal neighbours at T_c."""

AVERAGE_OWN_BLOCK = (1.0 + math.sqrt(2.0)) / 4.0 + 1.0 / (2.0 * math.pi)
"""⟨v h⟩ of the average rule with a spin of its own block, 0.7627083."""

MAJORITY_OWN_BLOCK = AVERAGE_OWN_BLOCK + 1.0 / (2.0 * math.pi**2)
"""⟨v h⟩ of the majority rule with random ties, 0.8133689."""

DECIMATION_OWN_BLOCK = ((1.0, NN_CORRELATION), (NN_CORRELATION, DIAGONAL_CORRELATION))
"""⟨v h⟩ of decimation (the first spin is kept) with the spins of its own block, by row and column."""

SUM_TWO_PROBABILITY = 2.0 / math.pi**2
"""P(|S| = 2): one spin of the four disagrees, 0.2026424."""

SUM_FOUR_PROBABILITY = AVERAGE_OWN_BLOCK - SUM_TWO_PROBABILITY / 4.0
"""P(|S| = 4): all four agree, 0.7120477."""

TIE_PROBABILITY = 1.0 - SUM_FOUR_PROBABILITY - SUM_TWO_PROBABILITY
"""P(S = 0): the majority rule needs a coin, 0.0853099."""


def average_own_block(nn: float, diagonal: float) -> float:
    """Return ⟨v h⟩ of the average rule within its block, (1 + 2g + d)/4, at any size and temperature."""
    return (1.0 + 2.0 * nn + diagonal) / 4.0
