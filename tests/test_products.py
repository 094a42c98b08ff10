"""Products of spins by tables: against exact sums, at every kind of shape, and as a part of JAX programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rgstep.nets import products, updates
from rgstep.nets.presets import Training
from rgstep.nets.rbm import Weights, gibbs_steps

# samples, visible and hidden units: whole tiles of 32; over the edge by 1 to 31; several tiles; thin
SHAPES = [(32, 32, 32), (64, 96, 160), (33, 65, 47), (100, 35, 34), (45, 63, 129), (200, 256, 64), (1000, 33, 33)]
SMALL = [(1, 1, 1), (100, 1, 40), (100, 40, 1), (31, 100, 100), (7, 9, 5)]


def case(shape, seed=0, whole=True):
    """Spins of both layers, and W and y of whole numbers, whose sums have no rounding, or normal."""
    n, visible, hidden = shape
    rng = np.random.default_rng([seed, *shape])
    v, h = (rng.choice([-1, 1], (n, units)).astype(np.float32) for units in (visible, hidden))
    shapes = (visible, hidden), (n, hidden)
    w, y = (rng.integers(-99, 100, s) if whole else rng.standard_normal(s) for s in shapes)
    return v, h, w.astype(np.float32), y.astype(np.float32)


def each(v, h, w, y):
    """Every product with its factors and what it is."""
    return [
        (products.times, (v, w), v @ w),
        (products.times_transposed, (h, w), h @ w.T),
        (products.outer, (v, y), v.T @ y),
    ]


def eager(product, *arrays):
    return np.asarray(product(*map(jnp.asarray, arrays)))


def by_tables(function, *arrays):
    return "ffi_call" in str(jax.make_jaxpr(function)(*arrays))


@pytest.mark.parametrize("shape", SHAPES + SMALL)
def test_sums_of_whole_numbers_are_exact(shape):
    for product, arrays, expected in each(*case(shape)):
        assert by_tables(product, *arrays) == (shape in SHAPES)
        np.testing.assert_array_equal(jax.jit(product)(*arrays), expected)
        np.testing.assert_array_equal(eager(product, *arrays), expected)


@pytest.mark.parametrize("place", [0, 3, 31, 32, 63, 64])
def test_every_spin_counts(place):
    """Turning one spin round, whole tiles or not, changes x W by −2 x_i W_i."""
    v, _, w, _ = case((40, 65, 33))
    other = v.copy()
    other[:, place] *= -1
    change = eager(products.times, other, w) - eager(products.times, v, w)
    np.testing.assert_array_equal(change, -2 * np.outer(v[:, place], w[place]))
    assert change.any()


@pytest.mark.parametrize("shape", [(100, 1024, 256), (33, 65, 47)])
def test_rounding_is_that_of_float32(shape):
    """Errors stay below those of terms added one by one in the worst order, (m − 1) ε Σ|w|, by two orders."""
    for product, (x, w), _ in each(*case(shape, whole=False)):
        left, right = (np.asarray(a, float) for a in (x, w))
        if product is products.times_transposed:
            right = right.T
        left = left.T if product is products.outer else left
        terms = left.shape[1]
        error = np.abs(np.asarray(jax.jit(product)(x, w)) - left @ right)
        assert (error <= max(0.01, 4 / terms) * terms * 2.0**-24 * np.abs(right).sum(axis=0)).all()


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_mapped_over_a_batch(axes):
    many = [case((40, 50, 36), seed) for seed in range(3)]
    for which in range(3):
        function = each(*many[0])[which][0]
        factors = [each(*one)[which][1] for one in many]
        stacked = [np.stack(f) if axis == 0 else f[0] for f, axis in zip(zip(*factors, strict=True), axes, strict=True)]
        assert by_tables(jax.vmap(function, axes), *stacked)
        found = jax.jit(jax.vmap(function, axes))(*stacked)
        for n in range(3):
            one = [f[n] if axis == 0 else f for f, axis in zip(stacked, axes, strict=True)]
            np.testing.assert_array_equal(found[n], eager(function, *one))


def test_mapped_twice_and_in_loops():
    v, _, w, _ = case((2 * 3 * 32, 40, 32))
    v = v.reshape(2, 3, 32, 40)
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(products.times, (0, None)), (0, None)))(v, w), v @ w)
    rows = v.reshape(6, 32, 40)
    scanned = jax.jit(lambda xs, w: jax.lax.scan(lambda _, x: (0, products.times(x, w)), 0, xs)[1])
    np.testing.assert_array_equal(scanned(rows, w), rows @ w)
    summed = jax.jit(
        lambda xs, w: jax.lax.fori_loop(0, 6, lambda i, sums: sums + products.times(xs[i], w), jnp.zeros((32, 32)))
    )
    np.testing.assert_array_equal(summed(rows, w), (rows @ w).sum(axis=0))


def test_a_row_does_not_depend_on_the_others():
    """The same bits for a sample whatever else is in its batch."""
    v, h, w, _ = case((100, 70, 40), whole=False)
    for product, x in ((products.times, v), (products.times_transposed, h)):
        np.testing.assert_array_equal(jax.jit(product)(x, w)[17:60], jax.jit(product)(x[17:60], w))


def test_other_types_are_left_to_xla():
    v, _, w, _ = case((64, 64, 64))
    assert not by_tables(products.times, v.astype(np.int8), w)
    assert not by_tables(products.times, v, w.astype(np.float16))
    np.testing.assert_array_equal(eager(products.times, v.astype(np.int8), w), v @ w)


def test_products_are_those_of_xla_where_the_kernel_is_refused(monkeypatch):
    def refuse(*_, **__):
        message = "another version"
        raise RuntimeError(message)

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    monkeypatch.setattr(products, "_target", products._target.__wrapped__)
    for product, arrays, expected in each(*case((64, 64, 64))):
        assert not by_tables(product, *arrays)
        np.testing.assert_array_equal(eager(product, *arrays), expected)


def test_the_kernel_is_made_afresh_where_nothing_can_be_kept(monkeypatch):
    def nowhere(*_, cache=False):
        if cache:
            message = "no locator available"
            raise RuntimeError(message)
        return lambda function: ("compiled", function)

    monkeypatch.setattr(products, "cfunc", nowhere)
    assert products.compiled_answer() == ("compiled", products.answer)


# --- training with them


def trained(settings, least, monkeypatch):
    """The parameters after four updates of 48 → 36 units, tables used from `least` units on."""
    monkeypatch.setattr(products, "SMALLEST_FOR_TABLES", least)
    rng = np.random.default_rng(0)
    weights = Weights(*(jnp.asarray(0.1 * rng.standard_normal(s), jnp.float32) for s in ((48, 36), 48, 36)))
    data = jnp.asarray(rng.choice([-1.0, 1.0], (4, 40, 48)), jnp.float32)
    state = updates.first_state(weights, settings, 3)

    @jax.jit
    def run(state):
        k = jnp.int32(settings.k)
        return jax.lax.fori_loop(0, 4, lambda t, s: updates.one_update(s, data[t], k, settings), state)

    assert by_tables(run, state) == (least == 32)
    return [np.asarray(x) for x in run(state).parameters]


def test_gibbs_steps_with_tables_are_gibbs_steps(monkeypatch):
    """Two steps draw the same units with and without tables, and others with W turned round."""
    v, _, w, _ = case((40, 48, 36), whole=False)
    weights = Weights(jnp.asarray(0.1 * w), jnp.linspace(-1, 1, 48), jnp.linspace(-1, 1, 36))

    def after(weights, least):
        monkeypatch.setattr(products, "SMALLEST_FOR_TABLES", least)
        run = jax.jit(lambda v: gibbs_steps(weights, v, jnp.int32(2), jax.random.key(0)))
        assert by_tables(run, v) == (least == 32)
        return np.asarray(run(v))

    np.testing.assert_array_equal(after(weights, 32), after(weights, 1000))
    assert (after(weights._replace(w=-weights.w), 32) != after(weights, 1000)).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        Training(method="cd", k=2, batch=40, steps=4),
        Training(method="pcd", chains=33, batch=40, steps=4, units="binary"),
        Training(method="pcd", chains=40, batch=40, steps=4, levels=3, tempering="trajectory"),
    ],
    ids=["cd", "pcd", "tempered"],
)
def test_training_with_tables_is_training(settings, monkeypatch):
    """Four updates with and without tables differ by rounding, and with W turned round by more."""
    found, expected = (trained(settings, least, monkeypatch) for least in (32, 1000))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, atol=2e-6)
    turned = products.times
    monkeypatch.setattr(products, "times", lambda x, w: turned(x, -w))
    assert np.abs(trained(settings, 32, monkeypatch)[0] - expected[0]).max() > 1e-4
