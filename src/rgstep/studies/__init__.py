"""Studies: a grid of trainings and judgements, declared in one file, run piece by piece, collected into one table."""
