"""Products of ±1 spins with a real matrix, by tables of four spins; on a CPU twice as fast as XLA's, or more.

    (x W)_na = Σ_i x_ni W_ia,    x_ni = ±1

Four spins have 16 states: the 16 sums of four rows of W are made once and looked up for every row of x (the "method of
four Russians": Arlazarov, Dinic, Kronrod and Faradzhev 1970). They are sums of float32 numbers, as those of a matrix
product, in another order. Which of the two takes a product is decided by its shape alone, so that a seed gives the same
numbers on one computer whatever else runs there. Of x only the signs are read: other entries than ±1 are not noticed.

Works under `jit`, `vmap` and in loops, and is not differentiable. On several devices each takes the product of its
share of the samples (`devices`). Should XLA refuse the kernel, all products are XLA's.

The kernel. A table holds the 16 sums ±w₀ ± w₁ ± w₂ ± w₃ of four rows of W, bit j of its index the sign of w_j; a
product with spins then adds one entry where another does four multiply-adds. A tile of W, 32 inputs by 32 columns, has
eight tables of 2 kB that stay in the first cache while all rows of spins look up in them; the spins of a row in a tile
are one word of 32 bits, eight digits of four. The sums of a tile are added up apart, so that rounding grows with the
number of tiles and not of spins. Numba does not vectorise lookups, so the few inner steps are written in LLVM's
language, for vectors of 16 floats, which it splits for narrower processors. Addresses are integers there.

XLA hands its arrays to a foreign function in a *call frame*, a C structure (jaxlib/include/xla/ffi/api/c_api.h, version
0), read here by the places of its fields.
"""

import functools
import math
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, cfunc, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from rgstep.compiled import helper
from rgstep.nets.devices import by_share

KERNEL_NAME = "rgstep_spin_product"  # by which XLA knows it
PLAIN, TRANSPOSED, OUTER = 0, 1, 2  # the products x W, x Wᵀ, xᵀ W
SMALLEST_FOR_TABLES = 32  # samples, visible and hidden units: below, tables do not pay
OUTER_PIECES = 8  # of the visible layer, in XLA's product of `outer`

Product: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]


def times(x: jax.Array, w: jax.Array) -> jax.Array:
    """Return x W, `(n, visible)` of ±1, `(visible, hidden)` → `(n, hidden)`."""
    return by_share(functools.partial(_chosen, PLAIN, _plain_times), (True, False))(x, w)


def times_transposed(x: jax.Array, w: jax.Array) -> jax.Array:
    """Return x Wᵀ, `(n, hidden)` of ±1, `(visible, hidden)` → `(n, visible)`."""
    return by_share(functools.partial(_chosen, TRANSPOSED, _plain_times_transposed), (True, False))(x, w)


def outer(x: jax.Array, y: jax.Array) -> jax.Array:
    """Return xᵀ y, `(n, visible)` of ±1, `(n, hidden)` → `(visible, hidden)`."""
    return by_share(functools.partial(_chosen, OUTER, _plain_outer), (True, True), summed=True)(x, y)


def _plain_times(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.matmul(x, w, precision="highest")


def _plain_times_transposed(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.matmul(x, w.T, precision="highest")


def _plain_outer(x: jax.Array, y: jax.Array) -> jax.Array:
    """In pieces: XLA's product with a transposed first factor runs at two thirds of the speed of one that is not (68
    and 104 GFLOP/s on an AMD Zen 4), a batched one does not.
    """
    pieces = math.gcd(OUTER_PIECES, x.shape[1])
    parts = x.reshape(len(x), pieces, x.shape[1] // pieces)
    return jnp.einsum("npi,na->pia", parts, y).reshape(x.shape[1], y.shape[1])


def _chosen(mode: int, plain: Product, x: jax.Array, w: jax.Array) -> jax.Array:
    """Return a product by tables where these pay, by XLA elsewhere.

    Time of XLA over that of tables on one core of an AMD Zen 4, for x W, x Wᵀ, xᵀ y: 2.3, 2.0, 2.5 for 100 samples and
    1024 → 256 units, 2.0, 2.0, 2.4 for 64 → 64, 1.2, 1.3, 1.2 for 20 samples, 0.8, 0.8, 2.0 for 1024 → 16 units.
    """
    fit = x.dtype == w.dtype == jnp.float32 and min(*x.shape, *w.shape) >= SMALLEST_FOR_TABLES
    if not fit or jax.default_backend() != "cpu" or _target() is None:
        return plain(x, w)

    def tables(x: jax.Array, w: jax.Array) -> jax.Array:
        call: Any = jax.ffi.ffi_call(KERNEL_NAME, jax.eval_shape(plain, x, w), vmap_method="broadcast_all")
        product: jax.Array = call(x, w, mode=np.int64(mode))
        return product

    result: jax.Array = jax.lax.platform_dependent(x, w, cpu=tables, default=plain)
    return result


@functools.cache
def _target() -> Any:
    """Make the kernel known to XLA, once, and return it, since it must stay where it is; None if XLA refuses it.

    The kernel is compiled here, or loaded: three seconds the first time on a computer, then 0.3.
    """
    answer, interface = compiled_answer(), cast(Any, jax.ffi)  # in part without types
    try:
        interface.register_ffi_target(KERNEL_NAME, interface.pycapsule(answer.ctypes), platform="cpu")
    except (RuntimeError, ValueError):
        return None
    return answer


# --- the kernel

LANES, VECTORS, TABLES = 16, 2, 8
COLUMNS, INPUTS = LANES * VECTORS, 4 * TABLES  # of a tile
FLOAT_BYTES, VECTOR_BYTES, WORD_BYTES = 4, 4 * LANES, 8
ENTRY_BYTES = 4 * COLUMNS
TABLE_BYTES = 16 * ENTRY_BYTES

# places in structures of XLA, bytes: of a call frame, of an array, of a scalar attribute, of an extension that asks
EXTENSION, API, ARGUMENTS, RESULTS, ATTRIBUTES = 8, 16, 72, 112, 160
DATA, RANK, SIZES = 24, 32, 40
VALUE = 8
METADATA, VERSION_OF_METADATA, VERSION_OF_API = 24, 24, 32

WORD, FLOAT = ir.IntType(64), ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
Generate = Callable[..., Any]  # of LLVM's instructions: by a builder, from LLVM's values


def written(generate: Generate, result: Any = types.void, arguments: int = 3) -> Any:
    """Return a function of so many integers, for kernels, whose instructions `generate(builder, …)` writes."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value = generate(builder, *values)
        return context.get_dummy_value() if value is None else value

    @intrinsic
    def of_one(typing_context: Any, a: Any) -> Any:
        return result(types.intp), code

    @intrinsic
    def of_two(typing_context: Any, a: Any, b: Any) -> Any:
        return result(types.intp, types.intp), code

    @intrinsic
    def of_three(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
        return result(types.intp, types.intp, types.intp), code

    return (of_one, of_two, of_three)[arguments - 1]


def load(builder: Any, address: Any, offset: int, kind: Any = VECTOR) -> Any:
    """Load a value from `offset` bytes behind an address."""
    return builder.load(builder.inttoptr(builder.add(address, WORD(offset)), kind.as_pointer()), align=4)


def store(builder: Any, value: Any, address: Any, offset: int) -> None:
    """Store a value `offset` bytes behind an address."""
    builder.store(value, builder.inttoptr(builder.add(address, WORD(offset)), value.type.as_pointer()), align=4)


def shuffled(builder: Any, x: Any, y: Any, places: Sequence[int]) -> Any:
    """Return the entries of (x, y), end to end, at given places."""
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places)))


def four_rows(builder: Any, address: Any, stride: Any, vector: int) -> list[Any]:
    """Load 16 columns of four rows."""
    return [load(builder, builder.add(address, builder.mul(stride, WORD(j))), VECTOR_BYTES * vector) for j in range(4)]


def four_columns(builder: Any, address: Any, stride: Any, vector: int) -> list[Any]:
    """Load four columns of 16 rows and transpose them: four by four within each quarter of a vector."""
    quad, quarters = ir.VectorType(FLOAT, 4), range(4)

    def loaded(row: int) -> Any:
        return load(builder, builder.add(address, builder.mul(stride, WORD(LANES * vector + row))), 0, quad)

    def mixed(x: Any, y: Any, places: Sequence[int]) -> Any:
        return shuffled(builder, x, y, [4 * n + place for n in quarters for place in places])

    rows = []  # the n-th of them holds the rows n, 4 + n, 8 + n, 12 + n
    for n in quarters:
        low = shuffled(builder, loaded(n), loaded(4 + n), range(8))
        high = shuffled(builder, loaded(8 + n), loaded(12 + n), range(8))
        rows.append(shuffled(builder, low, high, range(16)))
    pairs = [[mixed(rows[n], rows[n + 1], places) for n in (0, 2)] for places in ((0, 16, 1, 17), (2, 18, 3, 19))]
    return [mixed(x, y, places) for x, y in pairs for places in ((0, 1, 16, 17), (2, 3, 18, 19))]


def make_table(builder: Any, address: Any, stride: Any, table: Any, four: Generate) -> None:
    """Write the 16 sums of four rows or columns of W."""
    for vector in range(VECTORS):
        first, *others = four(builder, address, stride, vector)
        sums = [builder.fneg(first), first]
        for x in others:
            sums = [builder.fsub(s, x) for s in sums] + [builder.fadd(s, x) for s in sums]
        for entry, s in enumerate(sums):
            store(builder, s, table, ENTRY_BYTES * entry + VECTOR_BYTES * vector)


def add_entries(builder: Any, sums: Any, tables: Any, word: Any, count: int) -> None:
    """Add to a row of sums its entries of the first `count` tables."""
    total: list[Any] = []
    shift = ENTRY_BYTES.bit_length() - 1
    for table in range(count):
        digit = 4 * table - shift
        moved = builder.lshr(word, WORD(digit)) if digit >= 0 else builder.shl(word, WORD(-digit))
        entry = builder.add(tables, builder.and_(moved, WORD(15 << shift)))
        found = [load(builder, entry, TABLE_BYTES * table + VECTOR_BYTES * vector) for vector in range(VECTORS)]
        total = [builder.fadd(*pair) for pair in zip(total, found, strict=True)] if total else found
    for vector in range(VECTORS):
        store(
            builder,
            builder.fadd(load(builder, sums, VECTOR_BYTES * vector), total[vector]),
            sums,
            VECTOR_BYTES * vector,
        )


def copy_entry(builder: Any, source: Any, target: Any) -> None:
    """Copy the columns of a tile."""
    for vector in range(VECTORS):
        store(builder, load(builder, source, VECTOR_BYTES * vector), target, VECTOR_BYTES * vector)


def signs(builder: Any, address: Any) -> Any:
    """Return which of the 32 floats at an address are above 0, as bits."""
    kind = ir.VectorType(FLOAT, INPUTS)
    above = builder.fcmp_ordered(">", load(builder, address, 0, kind), ir.Constant(kind, None))
    return builder.zext(builder.bitcast(above, ir.IntType(INPUTS)), WORD)


def float_pointer(builder: Any, address: Any) -> Any:
    """Return an address as a pointer."""
    return builder.inttoptr(address, FLOAT.as_pointer())


row_table = written(functools.partial(make_table, four=four_rows))
column_table = written(functools.partial(make_table, four=four_columns))
add_all = written(functools.partial(add_entries, count=TABLES))
add_one = written(functools.partial(add_entries, count=1))
copy = written(copy_entry, arguments=2)
signs_at = written(signs, types.intp, arguments=1)
floats_at = written(float_pointer, types.CPointer(types.float32), arguments=1)  # type: ignore[no-untyped-call]
word_at = written(lambda builder, address: load(builder, address, 0, WORD), types.intp, arguments=1)
put_word = written(lambda builder, word, address: store(builder, word, address, 0), arguments=2)


@helper
@typing.no_type_check
def words_of(x, transposed):
    """Return the signs of ±1 `(row, input)`, or `(input, row)` if transposed: words `(tile, row)` of 32 inputs."""
    inputs, rows = x.shape if transposed else x.shape[::-1]
    words = np.zeros(((inputs + INPUTS - 1) // INPUTS, rows), np.uint32)
    if transposed:
        for k in range(inputs):
            into, signs, bit = words[k // INPUTS], x[k], np.uint32(1) << np.uint32(k % INPUTS)
            for row in range(rows):
                into[row] |= bit if signs[row] > 0 else np.uint32(0)
        return words
    whole = inputs // INPUTS
    for row in range(rows):
        for tile in range(whole):
            words[tile, row] = signs_at(x.ctypes.data + 4 * (row * inputs + tile * INPUTS))
        for k in range(whole * INPUTS, inputs):
            words[whole, row] |= np.uint32(x[row, k] > 0) << np.uint32(k % INPUTS)
    return words


@helper
@typing.no_type_check
def fill_tables(w, transposed, input, column, tables, tile):
    """Fill the tables of a tile of W and return how many; a tile over the edge is copied and zeros put around it."""
    inputs, columns = w.shape[::-1] if transposed else w.shape
    height, width, stride = min(INPUTS, inputs - input), min(COLUMNS, columns - column), 4 * w.shape[1]
    if height == INPUTS and width == COLUMNS:
        for n in range(TABLES):
            if transposed:
                column_table(w.ctypes.data + column * stride + 4 * (input + 4 * n), stride, tables + TABLE_BYTES * n)
            else:
                row_table(w.ctypes.data + (input + 4 * n) * stride + 4 * column, stride, tables + TABLE_BYTES * n)
        return TABLES
    tile[:] = 0
    for k in range(height):
        for c in range(width):
            tile[k, c] = w[column + c, input + k] if transposed else w[input + k, column + c]
    for n in range((height + 3) // 4):
        row_table(tile.ctypes.data + 4 * ENTRY_BYTES * n, ENTRY_BYTES, tables + TABLE_BYTES * n)
    return (height + 3) // 4


@helper
@typing.no_type_check
def product(x, w, out, mode):
    """Write x W, x Wᵀ or xᵀ W for x of ±1: 0.21 ms for 100 × 1024 × 256, where a core at its peak takes 0.49."""
    words, transposed = words_of(x, mode == OUTER), mode == TRANSPOSED
    tiles, rows = words.shape
    columns = out.shape[1]
    room = np.empty(TABLES * 16 * COLUMNS + rows * COLUMNS + 16, np.float32)
    tables = (room.ctypes.data + 63) // 64 * 64
    sums = room[(tables - room.ctypes.data) // 4 + TABLES * 16 * COLUMNS :][: rows * COLUMNS]
    first_sum, tile = sums.ctypes.data, np.empty((INPUTS, COLUMNS), np.float32)
    for column in range(0, columns, COLUMNS):
        sums[:] = 0
        for n in range(tiles):
            count = fill_tables(w, transposed, n * INPUTS, column, tables, tile)
            if count == TABLES:
                for row in range(rows):
                    add_all(first_sum + ENTRY_BYTES * row, tables, np.int64(words[n, row]))
                continue
            for row in range(rows):
                for table in range(count):
                    word = np.int64(words[n, row]) >> (4 * table)
                    add_one(first_sum + ENTRY_BYTES * row, tables + TABLE_BYTES * table, word)
        if columns - column >= COLUMNS:
            for row in range(rows):
                copy(first_sum + ENTRY_BYTES * row, out.ctypes.data + 4 * (row * columns + column))
        else:
            for row in range(rows):
                for c in range(columns - column):
                    out[row, column + c] = sums[row * COLUMNS + c]


@helper
@typing.no_type_check
def matrix(array, which):
    """Return the matrix number `which` of an array of XLA's."""
    last = word_at(array + SIZES) + WORD_BYTES * (word_at(array + RANK) - 1)
    rows, columns = word_at(last - WORD_BYTES), word_at(last)
    return carray(floats_at(word_at(array + DATA) + 4 * which * rows * columns), (rows, columns))


@typing.no_type_check
def answer(frame):
    """Answer a call of XLA: the products of the matrices of two arrays `([batch …,] row, column)`; 0 means success.

    A call with an extension asks for the version of the interface that this was written for. The answer is 0 and its
    own minor version, which adds fields behind those that are read here.
    """
    extension = word_at(frame + EXTENSION)
    if extension != 0:
        version = word_at(word_at(frame + API) + VERSION_OF_API)  # minor, major: 32 bits each
        put_word((version >> 32) << 32, word_at(extension + METADATA) + VERSION_OF_METADATA)
        return 0
    arguments, out = word_at(frame + ARGUMENTS), word_at(word_at(frame + RESULTS))
    x, w = word_at(arguments), word_at(arguments + WORD_BYTES)
    mode = word_at(word_at(word_at(word_at(frame + ATTRIBUTES)) + VALUE))
    count = 1
    for axis in range(word_at(out + RANK) - 2):
        count *= word_at(word_at(out + SIZES) + WORD_BYTES * axis)
    for which in range(count):
        product(matrix(x, which), matrix(w, which), matrix(out, which), mode)
    return 0


def compiled_answer() -> Any:
    """Compile `answer` for C, or load it where it was kept; see `rgstep.compiled`."""
    signature = types.intp(types.intp)
    try:
        return cfunc(signature, cache=True)(answer)
    except RuntimeError:  # "no locator available": nowhere to keep it
        return cfunc(signature)(answer)
