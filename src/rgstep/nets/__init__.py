"""Networks as coarse grainings: the restricted Boltzmann machine, its training, and the law that it learned."""
