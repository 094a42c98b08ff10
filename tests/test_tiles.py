"""Tiles: coefficients against enumeration, geometry of constructed units, and what is not local must show."""

import math

import exact_pictures
import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep import gauge, patterns
from rgstep.blocking import Scrambled
from rgstep.correlators import Means, Moments, measure
from rgstep.correlators import two_point as rg_two_point
from rgstep.instruments import tiles, vh_pattern
from rgstep.instruments.base import pictures_of
from rgstep.results import MapReport

K = 1 / rg.CRITICAL_TEMPERATURE


def row(ensemble, coarse):
    """Return the quantities of the tiles of a map, the arrays behind their figure, and what is said."""
    quantities, arrays, remarks = vh_pattern.of_coefficients(subject(ensemble, coarse).first)
    return {name: q.estimate for name, q in quantities.items()}, arrays, "; ".join(remarks)


def gauge_of(moments):
    """Return the gauge of the units that these moments are of, as `take_step` finds it."""
    means, given = moments.all(), len(moments.hidden_shape) == 2
    return gauge.find(pictures_of(moments), means.hh - means.h**2, given=given)


def random_tiling(size, seed=5):
    """The majority rule after a fixed permutation of the sites: with places, and not local."""
    order = np.random.default_rng(seed).permutation(size**2)
    return lambda v: rg.Majority().mean_h(v.astype(np.int8).reshape(len(v), -1)[:, order].reshape(v.shape))


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(16, temperature=rg.CRITICAL_TEMPERATURE, samples=3000, seed=16)


def two_point(ensemble):
    return np.asarray(rg_two_point(ensemble).value)


# --- coefficients


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.Decimation()], ids=str)
def test_exact_coefficients_by_enumeration(critical4, coarse):
    """β by enumeration: the sample's agrees within five standard errors, and is exact where h is linear in v."""
    expected = exact_pictures.coefficients(coarse.mean_h, K)
    moments = measure(critical4, coarse)
    beta = tiles.coefficients(critical4, moments, two_point(critical4), np.arange(4))
    error = beta.std(axis=0, ddof=1) / math.sqrt(len(beta))
    assert (np.abs(beta.mean(axis=0) - expected) < 5 * error + 2e-4).all()
    if isinstance(coarse, rg.Average):
        np.testing.assert_allclose(expected, np.kron(np.eye(4).reshape(4, 2, 2), np.full((2, 2), 0.25)), atol=1e-12)


def test_coefficients_of_another_map_are_found_out(critical4):
    """The twin: against the coefficients of decimation those of the majority rule are far outside their errors."""
    wrong = exact_pictures.coefficients(rg.Decimation().mean_h, K)
    beta = tiles.coefficients(critical4, measure(critical4, rg.Majority()), two_point(critical4), np.arange(4))
    error = beta.std(axis=0, ddof=1) / math.sqrt(len(beta))
    assert (np.abs(beta.mean(axis=0) - wrong) > 20 * error).any()


def test_what_is_explained_is_the_sum_over_samples(critical8, rng):
    first = rng.standard_normal((5, 8, 8)).astype(np.float32)
    v = critical8.unpack(3, 50).reshape(47, -1).astype(float)
    expected = (first.reshape(5, -1) @ v.T) @ v / 47
    np.testing.assert_allclose(tiles.explained(critical8, 3, 50, first).reshape(5, -1), expected, atol=1e-4)
    first[:, 1:] = 0  # thin enough for a sparse product
    first[:, 0, 1:] = 0
    expected = (first.reshape(5, -1) @ v.T) @ v / 47
    np.testing.assert_allclose(tiles.explained(critical8, 3, 50, first).reshape(5, -1), expected, atol=1e-5)


def test_the_control_variate_takes_the_noise(critical16):
    """Most of the noise of C⁻¹⟨v h⟩ goes for the majority rule, nearly all for the average; the value stays."""
    correlation = two_point(critical16)
    for coarse, left in ((rg.Majority(), 0.35), (rg.Average(), 0.03)):
        moments = measure(critical16, coarse)
        plain = np.stack([patterns.partial_correlations(p.reshape(-1, 16, 16), correlation) for p in moments.groups.vh])
        better = tiles.coefficients(critical16, moments, correlation, np.arange(64))
        noise = [x.std(axis=0, ddof=1).mean() / math.sqrt(len(x)) for x in (plain, better)]
        assert noise[1] < left * noise[0]
        assert np.abs(plain.mean(axis=0) - better.mean(axis=0)).max() < 6 * noise[0]


def test_weights_have_no_bias(rng):
    """Σ_{g≠g′} β_g β_g′/G(G−1) is β² on average; the plain square is too large by the noise, and must fail."""
    truth = np.array([0.0, 0.25])
    beta = truth + rng.standard_normal((16, 4000, 2))  # noise of ¼ in the mean
    q = tiles.weights(beta.sum(axis=0), tiles.squares(beta), 16)
    error = q.std(axis=0) / math.sqrt(4000)
    assert (np.abs(q.mean(axis=0) - truth**2) < 4 * error).all()
    assert (beta.mean(axis=0) ** 2).mean(axis=0)[0] > 20 * error[0]
    same = np.full((16, 1), 0.25)
    assert tiles.weights(same.sum(axis=0), tiles.squares(same), 16) == pytest.approx(0.0625)


# --- geometry


def noiseless(pictures, hidden_shape, size):
    """The geometry of given coefficients, all groups alike."""
    beta = np.repeat(pictures[None].astype(float), 8, axis=0)
    moments = Moments(Means(*np.zeros((5, 1))), np.ones(1), size, hidden_shape)
    of_units = gauge.find(pictures.astype(float), given=len(hidden_shape) == 2)
    found = tiles.placed(beta, moments, np.arange(len(pictures)), of_units)
    return tiles.concluded(*tiles.sums_of(beta, found), found.centre, pictures, np.ones(len(pictures), bool))


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.Decimation(), Scrambled(rg.Majority())], ids=str)
def test_quantities_by_enumeration(critical4, coarse):
    """On 4×4 every quantity agrees with the one of the exact coefficients; a random tiling's do not."""
    found, arrays, _ = row(critical4, coarse)
    exact = exact_pictures.of_tiles(subject(critical4, coarse))
    assert len(exact) == 12 - isinstance(coarse, Scrambled)
    for name, value in exact.items():
        assert abs(found[name].value - value) < 4.5 * found[name].error + 3e-5, name
    assert arrays["beta"].shape == (4, 4, 4)
    other, _, _ = row(critical4, random_tiling(4))
    far = [abs(value - other[name].value) > 20 * other[name].error for name, value in exact.items()]
    assert sum(far) >= 5


@pytest.mark.parametrize("coarse", [rg.Average(), rg.Decimation()])
def test_closed_forms_agree_with_the_enumeration(critical4, coarse):
    exact, closed = exact_pictures.of_tiles(subject(critical4, coarse)), exact_pictures.of_linear(coarse, 4)
    for name, value in closed.items():
        assert exact[name] == pytest.approx(value, abs=1e-4 if name == "equivariance" else 1e-9), name
    assert exact_pictures.of_linear(rg.Average(), 8)["tile_radius"] == pytest.approx(math.sqrt(0.5))


def test_known_values_of_linear_maps(critical16):
    """Average and decimation have closed forms at any size: radius √((b²−1)/6), one tile, b² sites, no overlap."""
    for coarse in (rg.Average(), rg.Average(4), rg.Decimation()):
        found, _, _ = row(critical16, coarse)
        exact = exact_pictures.of_linear(coarse, 16)
        assert len(exact) >= 9
        for name, value in exact.items():
            assert found[name].value == pytest.approx(value, abs=5 * found[name].error + 2e-3), (coarse, name)


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.Decimation()], ids=str)
def test_pictures_at_known_sites_by_enumeration(critical4, coarse):
    """⟨v h⟩ in, beside and far from the own block; those of another map are far from them."""
    measured, _ = vh_pattern.INSTRUMENT.measure(subject(critical4, coarse))
    others = [rule for rule in (rg.Majority(), rg.Average(), rg.Decimation()) if rule != coarse]
    other, _ = vh_pattern.INSTRUMENT.measure(subject(critical4, others[0]))
    exact = exact_pictures.at_known_sites(subject(critical4, coarse))
    assert set(exact) == {"own_block", "adjacent", "farthest"}
    for name, value in exact.items():
        found = measured.estimates[name].estimate
        assert abs(found.value - value) < 4.5 * found.error + 3e-5, name
    assert any(abs(other.estimates[name].estimate.value - exact[name]) > 0.01 for name in exact)


def test_pictures_at_known_sites_do_not_depend_on_signs(critical4):
    """Units with the other sign are put right first; units without given places have no known sites."""

    def signed(v):
        return rg.Majority().mean_h(v.astype(np.int8)) * np.array([[1, -1], [-1, 1]])

    (plain, _), (other, _), (scattered, _) = (
        vh_pattern.INSTRUMENT.measure(subject(critical4, coarse))
        for coarse in (rg.Majority(), signed, Scrambled(rg.Majority()))
    )
    for name in ("own_block", "adjacent", "farthest"):
        assert other.estimates[name].estimate.value == pytest.approx(plain.estimates[name].estimate.value, abs=1e-6)
        assert name not in scattered.estimates
    assert "2 of 4 units follow −v" in other.why
    assert "the units have no given places" in scattered.why
    assert "the units have no given places" not in plain.why


def test_the_majority_rule_has_tiles_and_others_have_not(critical16):
    own, _, _ = row(critical16, rg.Majority())
    assert abs(own["tile_radius"].value - 0.707) < 4 * own["tile_radius"].error < 0.5
    assert abs(own["tile_share"].value - 1) < 0.02
    assert own["local_units"].value == 1
    assert abs(own["coverage"].value - 1) < 4 * own["coverage"].error + 1e-3
    assert own["equivariance"].value < 4 * own["equivariance"].error + 0.02
    untrained = rg.untrained_rbm(visible=256, hidden=64, seed=0)
    for coarse, share in ((random_tiling(16), 0.5), (untrained, 0.15)):
        broken, _, _ = row(critical16, coarse)
        assert broken["tile_radius"].value > 4
        assert broken["tile_share"].value < share
        assert broken["local_units"].value < 0.3  # on 16×16 some units thrown at random have all four sites near
        assert broken["equivariance"].value > 0.9


def test_geometry_does_not_follow_the_noise():
    """From 1000 to 8000 samples the tile share of the majority rule stays within errors; that of β̄² is far below."""
    shares = []
    for samples in (1000, 8000):
        ensemble = rg.sample(8, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=samples)
        moments = measure(ensemble, rg.Majority())
        found = tiles.geometry(ensemble, moments, gauge_of(moments))
        shares.append(found.quantities["tile_share_mean"])
        naive = found.beta.astype(float) ** 2
    difference = abs(shares[0].value - shares[1].value)
    assert difference < 4 * math.hypot(shares[0].error, shares[1].error)
    blocks = naive.reshape(4, 4, 4, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).sum(axis=(4, 5))
    biased = np.einsum("abab->ab", blocks).sum() / naive.sum()
    assert biased < shares[1].value - 4 * shares[1].error


def test_constructed_units():
    """A 3×3 spot, a ring around the torus and an even picture, on 8×8."""
    spot, stripe = np.zeros((8, 8)), np.zeros((8, 8))
    spot[:3, 7:] = spot[:3, :2] = 0.1
    stripe[4] = 0.2
    pictures = np.stack([spot, stripe, np.full((8, 8), 0.05), -spot])
    found = noiseless(pictures, (4,), 8)
    np.testing.assert_allclose(found.participation.value, [9, 8, 64, 9])
    np.testing.assert_allclose(found.radius.value[[0, 3]], math.sqrt(4 / 3), atol=1e-6)  # ⟨x²⟩ + ⟨y²⟩ of −1, 0, 1
    np.testing.assert_allclose(found.share.value[2], 16 / 64)  # four units on 64 sites: tiles of 4×4
    q = np.abs(pictures) ** 2
    expected = 1 - (q**2).sum() / (q.sum(axis=0) ** 2).sum()
    assert found.quantities["overlap"].value == pytest.approx(expected)
    covered = q.sum(axis=0)
    assert found.quantities["coverage"].value == pytest.approx(covered.sum() ** 2 / (64 * (covered**2).sum()))
    np.testing.assert_allclose(found.coverage, covered / covered.mean(), rtol=1e-6)


def test_duplicate_units_overlap():
    """Two units on each tile: half of the coincidences are between different units; one unit each: none."""
    tile = np.kron(np.eye(16).reshape(16, 4, 4), np.full((2, 2), 0.25))
    once, twice = noiseless(tile, (4, 4), 8), noiseless(np.concatenate([tile, tile]), (32,), 8)
    assert once.quantities["overlap"].value == pytest.approx(0, abs=1e-12)
    assert twice.quantities["overlap"].value == pytest.approx(0.5)
    assert once.quantities["coverage"].value == pytest.approx(1)
    assert once.quantities["equivariance"].value == pytest.approx(0, abs=1e-6)


def test_units_that_do_different_things_are_as_far_apart_as_can_be():
    """Each takes another site of its tile: √(Σ|β − β̄|²/Σ|β|²) is 1 if the mean is counted as one of four numbers."""
    pictures = np.zeros((4, 4, 4))
    for unit, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        pictures[unit, 2 * (unit // 2) + row, 2 * (unit % 2) + column] = 1
    assert noiseless(pictures, (2, 2), 4).quantities["equivariance"].value == pytest.approx(1)


def test_the_core_reaches_two_coarse_spacings():
    """Beside its 2×2 tile a unit reads a site 3.5 spacings away, in the core, or 4.5, outside; a quarter of 8 is 2."""
    for size, away, inside in ((16, 3, True), (16, 4, False), (8, 1, True), (8, 2, False)):
        picture = np.zeros((1, size, size))
        picture[0, :2, :2], picture[0, 1 + away, 0] = 0.5, 0.4
        found = noiseless(np.repeat(picture, (size // 2) ** 2, axis=0), ((size // 2) ** 2,), size)
        assert found.core.value[0] == pytest.approx(1.0 if inside else 1 / 1.16)


@pytest.mark.parametrize(("size", "units"), [(16, 64), (9, 9)])
def test_a_reflected_picture_has_the_reflected_geometry(size, units, rng):
    """Tiles of side 2 and 3: the centre goes to L − 1 − x, the rest stays."""
    pictures = np.zeros((units, size, size))
    pictures[:, 2:8, 2:8] = rng.random((units, 6, 6)) ** 4
    one, other = noiseless(pictures, (units,), size), noiseless(pictures[:, ::-1, ::-1], (units,), size)
    np.testing.assert_allclose(other.centre, size - 1 - one.centre, atol=1e-9)
    for name in ("radius", "share", "core", "participation"):
        np.testing.assert_allclose(getattr(other, name).value, getattr(one, name).value, rtol=1e-6)


def test_units_are_seen_from_three_standard_errors_on(rng):
    """Of two units with the same noise, the sum of the weights of one is 2.5 standard errors, of the other 3.5."""
    noise = rng.standard_normal((16, 1, 8, 8))
    moments = Moments(Means(*np.zeros((5, 1))), np.ones(1), 8, (2,))

    def measured(strengths):
        beta = np.repeat(noise, len(strengths), axis=1)
        beta[:, :, 3, 3] += np.array(strengths)
        places = tiles.placed(beta, moments, np.arange(len(strengths)), gauge.find(beta.mean(axis=0)))
        of_units, of_sites = tiles.sums_of(beta, places)
        total = tiles.without_rounding(of_units["total"])
        return np.asarray(total.value) / np.asarray(total.error), of_units, of_sites, places.centre, beta.mean(axis=0)

    trials = np.linspace(0, 10, 400)
    scores = measured(trials)[0]
    strengths = [trials[np.abs(scores - wanted).argmin()] for wanted in (2.5, 3.5)]
    scores, *rest = measured(strengths)
    np.testing.assert_allclose(scores, [2.5, 3.5], atol=0.2)
    assert tiles.concluded(*rest, np.ones(2, bool)).faint == (0,)


# --- what is to be minded


def test_constant_and_faint_units_are_named(critical16):
    def constant(v):
        h = rg.Majority().mean_h(v.astype(np.int8)).reshape(len(v), -1)
        h[:, 3] = 1
        h[:, 5] = v[:, 0, 0] * v[:, 5, 5] * v[:, 9, 3] * v[:, 2, 11]  # even: no coefficient
        return h

    quantities, arrays, says = row(critical16, constant)
    assert "1 of 64 units constant and left out (3)" in says
    assert "(5)" in says
    assert np.isnan(arrays["unit_tile_radius"][[3, 5]]).all()
    assert np.isfinite(arrays["unit_tile_radius"]).sum() == 62
    assert quantities["local_units"].value == 1
    assert quantities["constant_units"].value == 1 / 64
    assert quantities["faint_units"].value == pytest.approx(1 / 63)


def test_units_that_never_change_are_all_that_is_said(critical8):
    quantities, arrays, says = row(critical8, lambda v: np.ones((len(v), 16)))
    assert {name: estimate.value for name, estimate in quantities.items()} == {"constant_units": 1.0}
    assert arrays == {}
    assert "every unit is constant" in says


@pytest.mark.parametrize("samples", [1, 4, 10, 40])
def test_few_samples_give_rows(samples):
    ensemble = rg.sample(8, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=1)
    for coarse in (rg.Majority(), rg.untrained_rbm(visible=64, hidden=16, seed=0)):
        quantities, _, says = row(ensemble, coarse)
        assert says
        assert ("tiles not measured" in says) == (samples < 8)
        assert all(np.isfinite(estimate.value) for estimate in quantities.values())
        whole, _ = vh_pattern.INSTRUMENT.measure(subject(ensemble, coarse))
        assert all(np.isfinite(q.estimate.value) for q in whole.estimates.values())


@pytest.mark.parametrize("temperature", [0.0, 1.0, math.inf])
def test_all_temperatures_give_rows(temperature):
    ensemble = rg.sample(8, temperature=temperature, samples=500, seed=2)
    quantities, _, says = row(ensemble, rg.Majority())
    assert ("T = 0" in says) == (temperature == 0)
    if temperature == math.inf:
        assert quantities["tile_share"].value == pytest.approx(1, abs=0.05)


def test_other_shapes_give_rows(critical8):
    for shape in ((len(critical8), 5), (len(critical8), 1), (len(critical8), 3, 3)):
        h = np.random.default_rng(0).choice([-1.0, 1.0], shape)
        h.reshape(len(h), -1)[:, 0] = critical8.unpack(0, len(critical8))[:, 0, 0]
        moments = measure(critical8, h)
        found = tiles.geometry(critical8, moments, gauge_of(moments))
        assert found.beta.shape == (math.prod(shape[1:]), 8, 8)
        assert found.constant == ()


def test_what_does_not_belong_together_is_refused(critical8, critical4):
    moments = measure(critical8, rg.Majority())
    with pytest.raises(rg.InputError, match="configurations and moments"):
        tiles.geometry(critical4, moments, gauge_of(moments))
    flat = measure(critical8, np.ones((640, 4)))
    with pytest.raises(rg.InputError, match="constant"):
        tiles.geometry(critical8, flat, gauge_of(flat))


# --- figure


def test_figure_shows_every_map(critical8):
    maps = {}
    for name, coarse in {"majority": rg.Majority(), "net": rg.untrained_rbm(visible=64, hidden=16, seed=0)}.items():
        diagnostic, arrays = vh_pattern.INSTRUMENT.measure(subject(critical8, coarse))
        maps[name] = MapReport("not judged", "judged", "", {"vh_pattern": diagnostic}, {"vh_pattern": arrays})
    plates = {plate.name: plate for plate in vh_pattern.figures(maps)}
    of_each = {f"{kind}_{name}" for kind in ("vh", "connected") for name in ("majority", "net")}
    assert set(plates) == of_each | {"unit_net", "range_against_participation", "tiles"}
    left, right = plates["tiles"].figure.axes
    assert left.get_xlabel()
    assert "spacings" in left.get_ylabel()
    assert {line.get_label() for line in left.lines} >= {"majority", "net"}
    shown = maps["majority"].arrays["vh_pattern"]["unit_participation_beta"]
    np.testing.assert_array_equal(right.lines[0].get_xdata(), shown)
    assert list(vh_pattern.figures({"none": MapReport("", "", "", {}, {})})) == []


def test_no_figure_of_tiles_where_none_were_measured():
    few = rg.sample(8, temperature=rg.CRITICAL_TEMPERATURE, samples=4, seed=1)
    diagnostic, arrays = vh_pattern.INSTRUMENT.measure(subject(few, rg.Majority()))
    maps = {"few": MapReport("", "", "", {"vh_pattern": diagnostic}, {"vh_pattern": arrays})}
    assert "tiles" not in {plate.name for plate in vh_pattern.figures(maps)}
