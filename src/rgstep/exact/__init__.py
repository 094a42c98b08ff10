"""What must a right answer be? Exact results for the two-dimensional Ising model.

`onsager` is the infinite lattice, `torus` the finite periodic one. The variable is the coupling K = J/k_BT, from 0
(infinite temperature) to infinity (zero temperature). Nothing here uses the code it checks.
"""
