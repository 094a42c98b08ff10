"""Configurations of the Ising model: `sample.sample` makes sets, `stream.IsingStream` goes on without end."""
