"""Judge a map of your own, written in PyTorch: the encoder of an autoencoder, trained here for a minute.

    pip install 'rgstep[torch]'
    python examples/torch_map.py

The encoder is dense: it knows nothing of the lattice, and its units have no places. The battery finds them from
⟨v_i h_a⟩ if they are there to be found.
"""

import torch

import rgstep as rg

SIZE, UNITS, STEPS, BATCH = 16, 64, 2_000, 200


def trained_encoder(seed: int = 0) -> torch.nn.Module:
    """Train encoder and decoder on fresh critical configurations to give back their input; return the encoder."""
    torch.manual_seed(seed)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIZE**2, UNITS), torch.nn.Tanh())
    decoder = torch.nn.Linear(UNITS, SIZE**2)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    spins = torch.from_numpy(rg.sample(SIZE, rg.CRITICAL_TEMPERATURE, STEPS * BATCH, seed=1).spins.copy())
    for step in range(STEPS):
        v = spins[step * BATCH : (step + 1) * BATCH].float()
        loss = torch.nn.functional.soft_margin_loss(decoder(encoder(v)), v.flatten(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return encoder


def main() -> None:
    """Judge the encoder before and after training, beside the majority rule."""
    ensemble = rg.sample(SIZE, rg.CRITICAL_TEMPERATURE, 10_000, seed=0)
    torch.manual_seed(0)
    before = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIZE**2, UNITS), torch.nn.Tanh())
    maps = {"encoder": trained_encoder(), "before training": before, "majority": rg.Majority()}
    print(rg.judge(ensemble, maps, seed=0))


if __name__ == "__main__":
    main()
