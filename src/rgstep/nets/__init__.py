"""Networks as coarse grainings: the restricted Boltzmann machine, its training, and adapters for a user's own."""
