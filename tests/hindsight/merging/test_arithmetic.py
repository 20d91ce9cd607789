"""The arithmetic of merging: laws of LERP and SLERP, values worked out by hand, the three sums of a comparison."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hindsight.merging.arithmetic import BLOCK, PIECE, ROW, Comparison, compare, merge_tensors, weighted_sums

ALPHAS = st.floats(0, 1)
METHODS = st.sampled_from(["lerp", "slerp"])
SEEDS = st.integers(0, 50)
LAW = settings(max_examples=40)


def tensors(seed, shape=(4, 5), dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype), torch.randn(shape, generator=generator).to(dtype)


@LAW
@given(SEEDS, METHODS, st.sampled_from([torch.bfloat16, torch.float16, torch.float32, torch.float64]))
def test_alpha_0_and_1_give_the_inputs_bit_for_bit(seed, method, dtype):
    base, finetuned = tensors(seed, dtype=dtype)
    base[0, 0] = -0.0
    assert bits(merge_tensors(base, finetuned, 0.0, method)) == bits(base)
    assert bits(merge_tensors(base, finetuned, 1.0, method)) == bits(finetuned)


def bits(tensor):
    return tensor.view(torch.uint8).tolist()


@LAW
@given(SEEDS, ALPHAS)
def test_lerp_with_the_models_swapped_is_lerp_at_one_minus_alpha(seed, alpha):
    base, finetuned = tensors(seed, dtype=torch.float32)
    back = 1 - alpha
    assert torch.allclose(merge_tensors(base, finetuned, alpha), merge_tensors(finetuned, base, back), atol=1e-6)


@LAW
@given(SEEDS, ALPHAS)
def test_slerp_with_the_models_swapped_is_slerp_at_one_minus_alpha(seed, alpha):
    base, finetuned = tensors(seed, dtype=torch.float64)
    there, back = merge_tensors(base, finetuned, alpha, "slerp"), merge_tensors(finetuned, base, 1 - alpha, "slerp")
    assert torch.allclose(there, back, rtol=1e-9, atol=1e-12)


@LAW
@given(SEEDS, ALPHAS, st.floats(-4, 4))
def test_lerp_is_linear(seed, alpha, factor):
    base, finetuned = tensors(seed, dtype=torch.float64)
    more, other = tensors(seed + 100, dtype=torch.float64)
    together = merge_tensors(base + factor * more, finetuned + factor * other, alpha)
    apart = merge_tensors(base, finetuned, alpha) + factor * merge_tensors(more, other, alpha)
    assert torch.allclose(together, apart, rtol=1e-12, atol=1e-12)


@LAW
@given(SEEDS, ALPHAS)
def test_slerp_between_unit_tensors_stays_on_the_sphere(seed, alpha):
    base, finetuned = (tensor / tensor.norm() for tensor in tensors(seed, dtype=torch.float64))
    assert merge_tensors(base, finetuned, alpha, "slerp").norm().item() == pytest.approx(1, abs=1e-12)


@LAW
@given(SEEDS, ALPHAS)
def test_slerp_covers_the_share_alpha_of_the_angle(seed, alpha):
    base, finetuned = (tensor / tensor.norm() for tensor in tensors(seed, dtype=torch.float64))
    whole = compare(base, finetuned).angle
    assert compare(base, merge_tensors(base, finetuned, alpha, "slerp")).angle == pytest.approx(alpha * whole, abs=1e-7)


def test_values_worked_out_by_hand():
    base, finetuned = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert merge_tensors(base, finetuned, 0.25).tolist() == [0.75, 0.25]
    third = merge_tensors(base, finetuned, 1 / 3, "slerp").tolist()
    assert third == pytest.approx([math.cos(math.pi / 6), math.sin(math.pi / 6)])


def test_a_comparison_worked_out_by_hand():
    found = compare(torch.tensor([3.0, 4.0]), torch.tensor([3.0, -4.0]))
    assert (found.base_norm, found.finetuned_norm, found.distance) == (5, 5, 8)
    assert found.cosine == pytest.approx((9 - 16) / 25)
    assert found.norm(0.5, 0.5) == 3


@pytest.mark.parametrize("angle", [3.1, 2.0, 1.0, 1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("length", [1.0, 7.0])
def test_small_angles_keep_their_digits(angle, length):
    base = torch.tensor([1.0, 0.0], dtype=torch.float64)
    turned = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64) * length
    digits = 1e-9 if length == 1 else max(1e-9, 1e-15 / angle**2)  # lengths that differ hide the smallest angles
    if digits < 1:
        assert compare(base, turned).angle == pytest.approx(angle, rel=digits)


@pytest.mark.parametrize("angle", [1e-3, 1e-5, 1e-7])
def test_slerp_is_an_arc_at_the_small_angles_of_a_fine_tune(angle):
    base = torch.tensor([1.0, 0.0], dtype=torch.float64)
    finetuned = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    assert compare(base, finetuned).has_arc
    assert merge_tensors(base, finetuned, 0.7, "slerp")[1].item() == pytest.approx(math.sin(0.7 * angle), rel=1e-9)


@pytest.mark.parametrize(
    "pair",
    [([0.0, 0.0], [1.0, 2.0]), ([0.0], [0.0]), ([1.0, 2.0], [1.0, 2.0]), ([2.0], [3.0]), ([1.0], [-1.0]), ([], [])],
)
def test_slerp_takes_the_line_if_there_is_no_arc(pair):
    base, finetuned = torch.tensor(pair[0]), torch.tensor(pair[1])
    assert not compare(base, finetuned).has_arc
    line = merge_tensors(base, finetuned, 0.25, "lerp")
    assert torch.equal(merge_tensors(base, finetuned, 0.25, "slerp"), line)


@pytest.mark.parametrize("values", [(0.5, 0.75), (2.0, -0.1)])
def test_constant_tensors_are_merged_like_one_number(values):
    base, finetuned = torch.full((300,), values[0]), torch.full((300,), values[1])
    expected = torch.full((300,), 0.3 * values[0] + 0.7 * values[1])
    assert torch.allclose(merge_tensors(base, finetuned, 0.7, "slerp"), expected, rtol=1e-6)


def test_scalars_and_other_shapes_are_merged():
    assert merge_tensors(torch.tensor(1.0), torch.tensor(2.0), 0.5).tolist() == 1.5
    transposed = torch.arange(6.0).reshape(2, 3).T
    assert torch.equal(merge_tensors(transposed, transposed + 4, 0.5), transposed + 2)


@LAW
@given(SEEDS, st.sampled_from([0.1, 0.3, 0.7, 0.9]))
def test_slerp_is_the_float64_result_rounded_once(seed, alpha):
    base, finetuned = tensors(seed, (64, 33))
    finetuned = (base.float() + 0.05 * finetuned.float()).bfloat16()
    one, other = base.double().flatten(), finetuned.double().flatten()
    angle = torch.acos(torch.dot(one, other) / one.norm() / other.norm())
    exact = (torch.sin((1 - alpha) * angle) * one + torch.sin(alpha * angle) * other) / torch.sin(angle)
    merged = merge_tensors(base, finetuned, alpha, "slerp").flatten().double()
    half_a_unit = exact.abs() * 2**-8  # at most: 8 bits
    assert bool(((merged - exact).abs() <= half_a_unit * 1.0001).all())


@LAW
@given(SEEDS, ALPHAS, st.sampled_from([torch.bfloat16, torch.float32, torch.float64]))
def test_equal_numbers_do_not_change_on_the_line_and_grow_on_the_arc(seed, alpha, dtype):
    base, finetuned = tensors(seed, dtype=dtype)
    finetuned[:, :2] = base[:, :2]
    assert torch.equal(merge_tensors(base, finetuned, alpha)[:, :2], base[:, :2])
    w0, w1 = compare(base, finetuned).weights(alpha, "slerp")
    arc = merge_tensors(base, finetuned, alpha, "slerp")[:, :2].double()
    assert torch.allclose(arc, (w0 + w1) * base[:, :2].double(), rtol=2**-7 if dtype == torch.bfloat16 else 1e-6)


def test_lerp_is_rounded_to_nearest_even_once_from_float32():
    base, finetuned = tensors(7, (1000,))
    expected = ((1 - 0.75) * base.float() + 0.75 * finetuned.float()).to(torch.bfloat16)
    assert torch.equal(merge_tensors(base, finetuned, 0.75), expected)
    halfway = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8])  # between two numbers of bfloat16
    assert merge_tensors(halfway, halfway.bfloat16(), 0.0).tolist() == [1.0, 1 + 2 * 2**-7]


@pytest.mark.parametrize("length", [ROW - 1, ROW + 1, BLOCK + 1, PIECE + BLOCK + 77])
@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_neither_blocks_nor_threads_change_a_bit(length, method):
    base, finetuned = tensors(1, (length,))
    merged = merge_tensors(base, finetuned, 0.6, method)
    with ThreadPoolExecutor(3) as pool:
        assert torch.equal(merge_tensors(base, finetuned, 0.6, method, pool.map), merged)
        assert compare(base, finetuned, pool.map) == compare(base, finetuned)
    one, other = base.double(), finetuned.double()
    assert compare(base, finetuned).distance == pytest.approx((one - other).norm().item(), rel=1e-12)
    if method == "lerp":
        assert torch.equal(merged, (base.float() * 0.4 + finetuned.float() * 0.6).bfloat16())


def test_several_alphas_in_one_pass_equal_separate_merges():
    base, finetuned = tensors(3, (500,))
    outputs = [torch.empty(500, dtype=torch.bfloat16) for _ in range(3)]
    weighted_sums(base, finetuned, [(0.9, 0.1), (0.5, 0.5), (0.0, 1.0)], outputs)
    for alpha, output in zip((0.1, 0.5, 1.0), outputs, strict=True):
        assert torch.equal(output, merge_tensors(base, finetuned, alpha))


def test_two_dtypes_are_merged_in_float32_into_the_fine_tuned_dtype():
    base, finetuned = tensors(2, (100,), torch.float32)[0], tensors(2, (100,))[1]
    assert torch.equal(merge_tensors(base, finetuned, 0.5), (0.5 * base + 0.5 * finetuned.float()).bfloat16())


def test_integer_tensors_must_be_equal():
    positions = torch.arange(4)
    assert torch.equal(merge_tensors(positions, positions, 0.5), positions)
    with pytest.raises(ValueError, match="cannot be averaged"):
        merge_tensors(positions, positions + 1, 0.5)
    with pytest.raises(ValueError, match=r"shapes \[4\] and \[2, 2\] differ"):
        merge_tensors(positions, positions.view(2, 2), 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("length", [10, 3 * BLOCK])
def test_a_nan_or_an_infinity_is_found_with_its_owner(value, length):
    base, finetuned = tensors(1, (length,))
    broken = base.clone()
    broken[length // 2] = value
    for pair, owner in (((broken, finetuned), "base"), ((finetuned, broken), "finetuned"), ((broken, broken), "base")):
        assert compare(*pair).broken == owner
        with pytest.raises(ValueError, match=f"the {owner} tensor has a NaN or an infinity"):
            merge_tensors(*pair, 0.5)


@given(SEEDS, ALPHAS, METHODS, st.floats(1, 2e5), st.sampled_from([torch.float16, torch.bfloat16]))
def test_a_merge_is_refused_exactly_if_a_number_leaves_the_range(seed, alpha, method, size, dtype):
    base, finetuned = tensors(seed, (3, 4), torch.float32)
    base, finetuned = size * base, finetuned.to(dtype)
    w0, w1 = compare(base, finetuned).weights(alpha, method)
    fits = bool((w0 * base + w1 * finetuned.float()).to(dtype).isfinite().all())
    try:
        merged = merge_tensors(base, finetuned, alpha, method)
    except ValueError as error:
        assert not fits
        assert f"reaches {(w0 * base.double() + w1 * finetuned.double()).abs().max().item():.6g}" in str(error)
    else:
        assert fits
        assert bool(merged.isfinite().all())


@given(SEEDS, st.lists(ALPHAS, min_size=1, max_size=3), METHODS, st.floats(-6, 6))
def test_what_surely_fits_by_the_norms_fits(seed, alphas, method, power):
    base, finetuned = (10**power * each for each in tensors(seed, (3, 4), torch.float64))
    comparison = compare(base, finetuned)
    weights = [comparison.weights(alpha, method) for alpha in alphas]
    if comparison.fits(weights, torch.float16):
        assert all(bool((w0 * base + w1 * finetuned).half().isfinite().all()) for w0, w1 in weights)
    else:
        assert max(abs(w0) + 2 * abs(w1) for w0, w1 in weights) * (base.norm() + finetuned.norm()) > 65504


def test_a_comparison_of_zeros_has_no_angle():
    assert math.isnan(Comparison(0.0, 0.0, 0.0).cosine)
