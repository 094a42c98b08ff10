"""Do the tests notice small faults? Each of these is put into a copy of the source, and tests that should fail are run.

    python tests/mutants.py [WORD …]        all mutants, or those whose line holds one of the words

Not collected by pytest: half an hour for all. A mutant is found by its text, which must occur once in src/, wherever
it is. "killed" means that a test failed; "SURVIVED" that none did, which asks for a test, or for the mutant to go if it
changes nothing that could be seen; "not found" that the source has changed, and the mutant must follow.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Mutant(NamedTuple):
    """A fault: the text, what stands in its place, and the test files that should notice."""

    old: str
    new: str
    tests: str  # separated by blanks


MUTANTS = [
    # estimates
    Mutant("SOKAL_WINDOW = 6.0", "SOKAL_WINDOW = 3.0", "estimates"),
    Mutant("value = max(float(tau[last]), 0.5)", "value = max(0.98 * float(tau[last]), 0.5)", "estimates"),
    Mutant("2 * (2 * window[last] + 1)", "2 * (window[last] + 1)", "estimates"),
    Mutant("covariance /= chains * np.arange(length, 0, -1)", "covariance /= chains * length", "estimates"),
    Mutant("np.maximum(second - first**2 / groups, 0.0)", "np.maximum(second, 0.0)", "estimates"),
    Mutant("np.sqrt((groups - 1) / groups * spread)", "np.sqrt(spread)", "estimates"),
    Mutant("value - (groups - 1) / groups * first", "value - first / groups", "estimates"),
    Mutant("np.linspace(0, samples, min(groups, samples) + 1)", "np.linspace(0, samples, groups + 1)", "estimates"),
    Mutant("variance = n * m / 12 * (N + 1 -", "variance = n * m / 12 * (N - 1 -", "sampler"),
    # correlators, operators, patterns
    Mutant("np.asarray(self.vh - self.h[:, None] * self.v)", "np.asarray(self.vh)", "correlators"),
    Mutant("(a - share * part[g]) / (1 - share)", "(a - share * part[g])", "correlators"),
    Mutant("** 2 if connected else 0.0", "if connected else 0.0", "correlators"),
    Mutant("total += values.sum(dtype=np.float64) / size**2", "total += values.sum(dtype=np.float64)", "correlators"),
    Mutant('np.einsum("na,na->a", h, h), magn', 'np.einsum("na->a", h), magn', "correlators patterns"),
    Mutant("knight += a0 * b2 + a2 * b0 + a0 * c1", "knight += a0 * b2 + a2 * b0 + a0 * c0", "operators"),
    Mutant("count_bits(a0 ^ b1) + count_bits(a1 ^ b0)", "2 * count_bits(a0 ^ b1)", "operators"),
    Mutant("for swapped in (False, True)", "for swapped in (False,)", "drift operators"),
    Mutant("return len(self.shape)", "return 2", "mcrg operators"),
    Mutant("count_bits(a1 ^ b0 ^ b2 ^ c1)", "count_bits(a1 ^ b0 ^ b2 ^ b1)", "operators"),
    Mutant("diagonal += b1 * (falling + rising)", "diagonal += b1 * (falling + falling)", "operators"),
    Mutant("means.mm - means.v.sum() ** 2", "means.mm", "patterns"),
    Mutant("NO_POWER = 1e-5", "NO_POWER = 1e-2", "patterns tiles gauge"),
    Mutant("power[:, 0, 0] = 0", "power[:, 0, 0] *= 1", "patterns"),
    # gauge and the subject
    Mutant("SMOOTHING_WIDTH = 0.5", "SMOOTHING_WIDTH = 1.0", "gauge"),
    Mutant("np.divide(before - after, 2 * bend", "np.divide(after - before, 2 * bend", "gauge"),
    Mutant("spacing - 0.5  # sites are points", "spacing  # sites are points", "gauge"),
    Mutant("* self.sign[self.order]", "* self.sign", "gauge"),
    Mutant("height / max(float(height.max()), SMALLEST) + LEAST_WEIGHT", "np.ones(units)", "gauge"),
    Mutant("CLEAR_SIGN = 5.0", "CLEAR_SIGN = 3.0", "criteria"),
    Mutant("CLEAR_SIGN = 5.0", "CLEAR_SIGN = 8.0", "criteria"),
    Mutant("level.side / block < SMALLEST_SIDE", "level.side / block <= SMALLEST_SIDE", "mcrg drift"),
    # criteria and findings
    Mutant("Ising.Y_H - 0.075,", "Ising.Y_H - 0.1,", "calibration"),
    Mutant(
        'Criterion("crowded_units", -math.inf, MOST_OTHERS)', 'Criterion("crowded_units", -math.inf, 1)', "calibration"
    ),
    Mutant("PASSES = 2.0", "PASSES = 3.0", "criteria"),
    Mutant("FAILS = 4.0", "FAILS = 2.0", "criteria"),
    Mutant("return found[-1:] if self.last else found", "return found", "criteria calibration"),
    Mutant(
        "unit = scale.block / scale.side if self.shrinking", "unit = 1 / scale.side if self.shrinking", "calibration"
    ),
    Mutant("scale.steps > self.first and", "scale.steps >= self.first and", "criteria"),
    Mutant("/ self.room) ** 2", "/ self.room)", "criteria"),
    Mutant("level < self.first or (", "level <= self.first or (", "criteria calibration"),
    Mutant("self.side >= side * self.block", "self.side > side * self.block", "criteria calibration"),
    Mutant("self.sides[level] >= side", "self.sides[level] > side", "sequences"),
    Mutant("(self.below and scale.reaches(self.below, level))", "(self.below and level > 9)", "calibration"),
    Mutant("for n in range(2, scale.maps + 1)]", "for n in range(2, scale.maps)]", "sequences"),
    Mutant("while len(found) < len(self.maps) and", "while len(found) < 1 and", "sequences"),
    Mutant("math.hypot(float(estimate.error), float(centre.error))", "float(estimate.error)", "criteria calibration"),
    Mutant("return None if self.doubt or", "return None if", "criteria"),
    Mutant("if name not in rows or rows[name].passed is None]", "if rows[name].passed is None]", "criteria"),
    Mutant("same_side = (n - r) * (t - r) > 0", "same_side = (n - r) * (t - r) < 0", "claims"),
    Mutant("share = (0.0 if same_side else 2.0)", "share = (0.0 if same_side else 1.0)", "claims"),
    Mutant("SIGMAS = 3.0", "SIGMAS = 10.0", "claims"),
    Mutant("entry.kind == CONTROL and role", "role", "claims"),
    # published claims, one by one
    Mutant('intact = content["checksum"] == checksum', 'intact = content["checksum"] or checksum', "reproduce"),
    Mutant("named = [FORMAT, measurement.name, measurement.edition, dict", "named = [FORMAT, 0, dict", "reproduce"),
    Mutant("part or measured_now(", "measured_now(", "reproduce"),
    Mutant("if wins == len(decided) else REFUTED if wins", "if wins else REFUTED if wins", "reproduce"),
    Mutant("came + AGREES * error < gap / 2", "came < gap / 2", "reproduce"),
    Mutant("abs(z) > SEPARATED > null", "abs(z) > SEPARATED", "reproduce"),
    Mutant("values.std(ddof=1) / math.sqrt(len(values))))\n\n\ndef critical", "0.0))\n\n\ndef critical", "reproduce"),
    # coherence, conditional law, symmetry, gain, fate, and maps that are not what they say
    Mutant(
        "(units * power * (1 / rho2 - 1))",
        "(units * power * (1 - rho2))",
        "coherence",
    ),
    Mutant("return [0] if wave == 0 else [2 * wave - 1, 2 * wave]", "return [wave]", "coherence"),
    Mutant("- middle[:, :, None] * middle[:, None, :])", "+ middle[:, :, None] * middle[:, None, :])", "coherence"),
    Mutant("C = C - alone", "C = C + alone", "conditional_law"),
    Mutant("/ np.float32(math.sqrt(2))", "/ np.float32(2)", "conditional_law"),
    Mutant("parts.append((up + down) / 2 / len(sign))", "parts.append((up - down) / 2 / len(sign))", "symmetry"),
    Mutant("np.roll(here, 1, axis)", "np.roll(here, -1, axis)", "symmetry"),
    Mutant("(2 * ups - spins) * mean", "np.abs(2 * ups - spins) * mean", "gain"),
    Mutant("moved = (row + at[:, :1])", "moved = (row - at[:, :1])", "gain"),
    Mutant("away[1] > max(away[0], 0.05)", "away[1] < max(away[0], 0.05)", "gain"),
    Mutant("if margin.value < 0:", "if margin.value > 0:", "gain"),
    Mutant("INCONSISTENT = 5.0", "INCONSISTENT = 5000.0", "bad_maps"),
    Mutant("+ (UNSEEN * self.largest_total) ** 2", "", "bad_maps"),
    Mutant("for part in (v[:1], v[1:])]", "for part in (v,)]", "bad_maps"),
    Mutant("errors hold the spread over {PLACINGS} placings", "errors", "places"),
    Mutant("off**2).mean()", "off**4).mean()", "places"),
    # diagnostics
    Mutant("operator.spins / 2 for", "operator.spins for", "mcrg"),
    Mutant("(eigenvalue.real <= 0))", "(eigenvalue.real < -1))", "mcrg"),
    Mutant("SINGULAR_CONDITION = 1e10", "SINGULAR_CONDITION = 1e30", "mcrg"),
    Mutant("np.abs(values).argmax(axis=1)[:, None]", "values.real.argmin(axis=1)[:, None]", "mcrg"),
    Mutant('centred=sector == "even")\n    if unit', "centred=False)\n    if unit", "mcrg"),
    Mutant("/ (2 * math.log(fine.side / coarse.side))", "/ math.log(fine.side / coarse.side)", "drift"),
    Mutant("1 - over(m4, 3 * m2**2)", "1 - over(m4, 2 * m2**2)", "drift"),
    Mutant('"nn_unit": over(nn, square)', '"nn_unit": over(nn, np.sqrt(square))', "drift"),
    Mutant("NEAREST_FITTED = 2.0", "NEAREST_FITTED = 1.0", "two_point"),
    Mutant("np.log(G) @ x / (x @ x) / 8", "np.log(G) @ x / (x @ x) / 4", "two_point"),
    Mutant("estimated(sets, correct_bias=True)", "estimated(sets)", "two_point"),
    Mutant("weight.ravel() ** 2)[displacement]", "weight.ravel())[displacement]", "amplitudes"),
    Mutant("square = far @ found**2", "square = far @ np.abs(found)", "amplitudes"),
    Mutant("BONDS = np.array([float(pair.terms)", "BONDS = np.array([2.0", "hamiltonian"),
    Mutant("FAR = DISTANCES > 1.5", "FAR = DISTANCES > 1.0", "hamiltonian"),
    Mutant("b[j + 3] * c[j + 4])", "b[j + 3] * c[j + 3])", "hamiltonian"),
    Mutant('"plaquette": "nnn", "sublattice": "20"', '"plaquette": "20", "sublattice": "nnn"', "hamiltonian"),
    Mutant("left_out[:, :-1] - fewer_left_out", "left_out[:, :-1]", "hamiltonian"),
    Mutant("self.sets[:, -1] - self.sets[:, operators - 1]", "self.sets[:, operators - 1]", "mcrg"),
    Mutant('"sublattice": 2 * math.sqrt(2) * (4 / math.pi - 1)', '"sublattice": 2 * math.sqrt(2) / 4', "mcrg"),
    Mutant("max(length - np.trace(spread), 0.0)", "length", "hamiltonian"),
    Mutant("mean(first * second) - mean(first)", "mean(first * first) - mean(first)", "hamiltonian"),
    Mutant("J = 2.0 * symmetric(beta) - 0.5 * (halves[0] + halves[1])", "J = symmetric(beta)", "hamiltonian"),
    Mutant("0.5 * np.tanh(K @ u.T)", "0.5 * np.tanh(K @ u.T / 2)", "hamiltonian"),
    Mutant("return K * rise - error * bell,", "return np.abs(K),", "hamiltonian"),
    Mutant("entropy = np.log1p(odds) + 2 * a * odds", "entropy = np.log1p(odds) + a * odds", "entropy"),
    Mutant("entropy[:, counted].mean(", "entropy.mean(", "entropy"),
    Mutant("math.log(2) * (1 - zero)", "math.log(2)", "information"),
    Mutant("psi(n) + 0.5 * (-1.0) ** n", "psi(n) + (-1.0) ** n", "information"),
    Mutant("fitted(x[fold != f], y[fold != f])", "fitted(x, y)", "information"),
    Mutant("table[last - codes[k, a], half - 1 - word]", "table[codes[k, a], half - 1 - word]", "information"),
    Mutant("var_f = var_d + 2 * cov + var_x", "var_f = var_d + cov + var_x", "kadanoff"),
    Mutant("residual = max(var_d - excess * cov, 0.0)", "residual = max(var_d, 0.0)", "kadanoff"),
    Mutant("LOCAL_SHARE = 0.75", "LOCAL_SHARE = 0.5", "tiles"),
    Mutant("SEEN = 3.0", "SEEN = 1.0", "tiles"),
    Mutant("min(2.0 * block, size / 4)", "min(1.0 * block, size / 4)", "tiles"),
    Mutant("/ (groups * (groups - 1)))", "/ groups**2)", "tiles"),
    Mutant("middle = corner + (b - 1) / 2", "middle = corner + b / 2", "tiles"),
    Mutant("differ * units / max(1, units - 1)", "differ", "tiles"),
    Mutant('of_units["product"].sum(axis=1) / together', 'of_units["product"].sum(axis=1) / (2 * together)', "tiles"),
    Mutant("ratio = pair**2 / (4 * bond**2)", "ratio = pair**2 / (2 * bond**2)", "decoy"),
    Mutant("(1 + math.tanh(pair_coupling)) / 2", "math.tanh(pair_coupling)", "decoy"),
    Mutant("math.sqrt(2) * (1 - 2 / math.pi)", "math.sqrt(2) * (1 - 1 / math.pi)", "mcrg"),
    Mutant("-2 * ensemble.system.coupling * (v * field)", "-ensemble.system.coupling * (v * field)", "report"),
    # block rules and lattice
    Mutant("np.tanh(np.float32(weight) *", "np.tanh(np.float32(2 * weight) *", "blocking"),
    Mutant("first = -((self.width - self.block) // 2)", "first = 0", "blocking"),
    Mutant("np.where(2 * uniform - 1 < mean,", "np.where(uniform < mean,", "blocking"),
    Mutant("total += np.roll(v, shift, axis)", "total += np.roll(v, 2 * shift, axis)", "blocking"),
    Mutant(
        "v[:, row : row + coarse, column : column + coarse]", "v[:, row : row + coarse, row : row + coarse]", "blocking"
    ),
    Mutant("total += v[:, row::block, column::block]", "total += v[:, row::block, row::block]", "lattice blocking"),
    Mutant("distance=np.sqrt(values)", "distance=values", "lattice"),
    Mutant("fits = [b for b in range(2, size + 1)", "fits = [b for b in range(2, size)", "blocking lattice"),
    # exact results
    Mutant("sign * (second - first**2) * decay", "sign * (second + first**2) * decay", "exact"),
    Mutant("64 / 5, 178 / 3", "64 / 6, 178 / 3", "exact"),
    Mutant("112 / 3, 130.0)", "112 / 3, 13.0)", "exact"),
    Mutant("HOT_LIMIT = 3e-6", "HOT_LIMIT = 3e-2", "exact"),
    Mutant("EXPANSION_LIMIT = math.exp(-6.0)", "EXPANSION_LIMIT = math.exp(-3.0)", "exact"),
    Mutant("decay + 4.0 * second / x * decay**2", "decay + 4.0 * second / x * decay", "exact"),
    Mutant("1.0 - m4 / (3.0 * m2**2)", "1.0 - m4 / (2.0 * m2**2)", "exact"),
    Mutant("3 / (2 * math.pi**2)", "3 / math.pi**2", "exact ising"),
    Mutant("+ both - entropy(counts) - inner", "+ both - entropy(counts)", "information"),
    Mutant("LARGEST_DEVIATION = 6.5", "LARGEST_DEVIATION = 3.0", "couplings"),
    # ensembles, their checks and certificates, bits
    Mutant("n * N * (u + 2) / 8", "n * N * (u + 2) / 80", "ensemble"),
    Mutant("excitations > 100", "excitations > 1", "ensemble"),
    Mutant("np.sign(self.magnetisations), 1 / math.sqrt(n))", "np.sign(self.magnetisations), 1 / n)", "ensemble"),
    Mutant("np.asarray(coupling**2 * size**2", "np.asarray(coupling * size**2", "ensemble"),
    Mutant("correct_bias=len(groups) > 1", "correct_bias=False", "ensemble"),
    Mutant("DISTRUST = 4.0", "DISTRUST = 3.0", "certificate"),
    Mutant("DISTRUST = 4.0", "DISTRUST = 6.0", "certificate"),
    Mutant("return not abs(z) <= DISTRUST", "return abs(z) > DISTRUST", "certificate"),
    Mutant("0.0 if abs(difference) < 1e-9 else", "0.0 if abs(difference) < 1e-1 else", "certificate ensemble"),
    Mutant("return sweeps / max(times)", "return sweeps / min(times)", "certificate"),
    Mutant(
        "below[:, -width:] = cells[:, width:], cells[:, :width]", "below[:, -width:] = cells[:, width:], 0", "packed"
    ),
    Mutant("right >>= 7", "right >>= 6", "packed"),
    Mutant("(1 << padding) - 1", "(1 << (padding - 1)) - 1", "packed"),
    Mutant("np.asarray((2 * up - sites)", "np.asarray((up - sites)", "packed"),
    # networks of other programs
    Mutant('"IIRBM": "spin"', '"IIRBM": "binary"', "conversion"),
    Mutant("if len(values) == 1:\n                found", "if len(values) >= 1:\n                found", "conversion"),
    Mutant("tensors[weights] if way == ORDERS[0] else tensors[weights].T", "tensors[weights]", "states"),
    Mutant('known["visible_bias"] not in (None, a) or', "False or", "states"),
    Mutant(" or visible not in (None, len(w)):", ":", "states"),
    Mutant("best if certain and fits else None", "best if fits else None", "states"),
    Mutant("best if certain and fits else None", "best if certain else None", "states"),
    Mutant("gain if best == 0 else Estimate(-gain.value, gain.error)", "gain", "states"),
    Mutant(" or len({reading.units for reading in readings}) > 1:", ":", "states"),
    Mutant('map_location="cpu", weights_only=True', 'map_location="cpu"', "tensor_files"),
    Mutant('if text.get("checksum") != schema.hash_of_arrays(state, text):', "if False:", "tensor_files"),
    Mutant("given = units or units_of", "given = units and units_of", "tensor_files"),
    Mutant("int(step) >= FIRST and wider", "int(step) >= FIRST", "reproduce"),
    Mutant("abs(float(ours.value) - EXACT[kind]) - NEAR[kind])", "abs(float(ours.value) - EXACT[kind]))", "reproduce"),
    Mutant("told = shares[RULE] == 1 and shares[INFINITE] == 0", "told = shares[RULE] == 1", "reproduce"),
    Mutant("least > COMPACT and largest < SPREAD", "least > COMPACT", "reproduce"),
    Mutant("if networks > 1 else UNDECIDED", "", "reproduce"),
    Mutant("way == DECIDES and epochs == PUBLISHED_EPOCHS", "way == DECIDES", "reproduce"),
    Mutant("if control == 1 and share in {0, 1}:", "if share in {0, 1}:", "reproduce"),
    Mutant('np.pad(power, (0, spot - 1), mode="wrap")', "np.pad(power, (0, spot - 1))", "kernel_maps"),
]


def main(words: list[str]) -> int:
    """Run the mutants that hold one of the words; return how many were not killed."""
    chosen = [m for m in MUTANTS if not words or any(word in " ".join(m) for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source)  # with what is compiled
        files = sorted({name for mutant in chosen for name in mutant.tests.split()})
        if run(files, source) != 0:
            say(f"tests fail without any mutant: run them first, {' '.join(files)}")
            return 1
        outcomes = [outcome(mutant, source) for mutant in chosen]
    say(", ".join(f"{outcomes.count(name)} {name}" for name in sorted(set(outcomes))))
    return len(outcomes) - outcomes.count("killed")


def outcome(mutant: Mutant, source: Path) -> str:
    """Put one mutant into the source, run its tests, take it out again, and return and print what came of it."""
    places = [path for path in source.rglob("*.py") if mutant.old in path.read_text(encoding="utf-8")]
    times = sum(path.read_text(encoding="utf-8").count(mutant.old) for path in places)
    result, where = f"not found ({times} times)" if times != 1 else "", places[0].name if places else "nowhere"
    if not result:
        path, state = places[0], places[0].stat()
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        result = {0: "SURVIVED", 1: "killed"}.get(run(mutant.tests.split(), source), "broken")
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # compiled files tell by the time of the source
    say(f"{result:9} {where}: {mutant.old!r} -> {mutant.new!r}")
    return result.partition(" (")[0]


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(tests: list[str], source: Path) -> int:
    """Return pytest's exit status on some test files, which import the package from `source`."""
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in tests]
    options = [
        "-o",
        "addopts=--import-mode=importlib -m 'not slow'",
    ]  # without checks of types, which take half the time
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *options, *files]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
