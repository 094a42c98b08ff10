"""Siblings that produce configurations of the Ising model; `plan.sample` chooses how."""
