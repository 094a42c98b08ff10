"""What must a right answer be? Exact results for the two-dimensional Ising model.

`onsager` is the infinite lattice, `torus` the finite periodic one, `transfer` gives the law of the magnetisation
up to 10×10. The variable is the coupling K = J/k_BT, from 0 (infinite temperature) to infinity (zero temperature).
Nothing here uses the code it checks.
"""
