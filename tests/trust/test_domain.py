"""The domain check: exact for usual inputs, and awake for others."""

import json
import subprocess
import sys

import numpy as np
import pytest

from surrogate.trust.domain import Domain

LOG = frozenset({"b"})


def draws(n, rng, cells=32, smoothness=2.0, reach=1.0):
    """Two parameters and a periodic random field."""
    k = np.arange(1, cells // 2)
    size = k**-smoothness * rng.standard_normal((2, n, k.size))
    phase = 2 * np.pi * np.outer(k, np.arange(cells) / cells)
    u = size[0] @ np.cos(phase) + size[1] @ np.sin(phase)
    return {"a": reach * rng.uniform(-1, 1, n), "b": 10 ** rng.uniform(-2, 2, n), "u": u}


def fitted(rng, m=200, n=99):
    return Domain.fit(draws(m, rng), draws(n, rng), logarithmic=LOG, periodic={"u": (True,)})


@pytest.fixture(scope="module")
def domain():
    return fitted(np.random.default_rng(0))


def test_usual_inputs_are_rejected_as_often_as_the_level_says():
    """Over calibrations too: P(p ≤ k/(n + 1)) is k/(n + 1) for numbers without ties."""
    rng, n, each = np.random.default_rng(1), 19, 20
    found = np.concatenate([fitted(rng, 40, n).p_values(draws(each, rng)) for _ in range(150)])
    for level in (0.05, 0.1, 0.5):
        # Those of one calibration are not independent: their number is beta-binomial
        spread = np.sqrt(level * (1 - level) / 150 * (1 / each + 1 / (n + 2)))
        assert abs((found <= level + 1e-9).mean() - level) < 4 * spread


@pytest.mark.parametrize(
    "change",
    [
        {"reach": 1.5},
        {"smoothness": 1.0},
        {"smoothness": 4.0},
    ],
    ids=["parameters beyond the box", "rougher fields", "smoother fields"],
)
def test_unusual_inputs_have_small_p_values(domain, change):
    rng = np.random.default_rng(2)
    odd = draws(200, rng, **change)
    if "reach" in change:
        odd = {k: v[np.abs(odd["a"]) > 1.2] for k, v in odd.items()}
    assert np.median(domain.p_values(odd)) <= 0.02
    assert np.median(domain.p_values(draws(200, rng))) > 0.3


def test_another_family_of_fields_has_small_p_values(domain):
    rng = np.random.default_rng(3)
    odd = draws(100, rng)
    jump = rng.integers(4, 28, 100)[:, None]
    odd["u"] = np.where(np.arange(32) < jump, 1.0, -1.0) * rng.uniform(0.5, 1.5, (100, 1))
    assert np.median(domain.p_values(odd)) <= 0.02


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_what_is_no_number_is_as_unusual_as_can_be(domain, bad):
    odd = draws(2, np.random.default_rng(4))
    odd["b"][1] = bad
    with np.errstate(invalid="ignore"):
        assert domain.p_values(odd)[1] == 1 / (domain.n + 1)


def test_a_parameter_that_never_varied_has_a_domain():
    rng = np.random.default_rng(5)
    fixed = {"a": np.full(50, 3.0), "b": rng.random(50)}
    domain = Domain.fit(fixed, {"a": np.full(60, 3.0), "b": rng.random(60)})
    assert domain.p_values({"a": np.array([3.0]), "b": np.array([0.5])})[0] > 0.1
    assert domain.p_values({"a": np.array([3.01]), "b": np.array([0.5])})[0] == 1 / 61


@pytest.mark.parametrize("names", [["u"], ["a", "b"]], ids=["fields alone", "parameters alone"])
def test_either_kind_of_input_is_enough(names):
    rng = np.random.default_rng(8)
    part = {name: draws(100, rng)[name] for name in names}
    axes = {"u": (True,)} if "u" in names else {}
    domain = Domain.fit(part, {name: draws(60, rng)[name] for name in names}, periodic=axes)
    again = Domain.of(json.loads(json.dumps(domain.settings())), domain.arrays())
    usual = {name: draws(50, rng)[name] for name in names}
    odd = {name: 3 * draws(50, rng)[name] + 5 for name in names}
    assert np.median(again.p_values(usual)) > 0.2
    assert np.median(again.p_values(odd)) <= 0.05
    assert domain.features(usual).shape[0] == 50


def test_a_signal_joins_and_stays_exact(domain):
    rng = np.random.default_rng(6)
    more = domain.with_signal("residual", rng.exponential(size=domain.n), 1.0)
    usual = draws(500, rng)
    without, joined = (
        domain.p_values(usual),
        more.p_values(usual, residual=rng.exponential(size=500)),
    )
    np.testing.assert_array_equal(more.p_values(usual), without)
    assert 0.02 < (joined <= 0.1).mean() < 0.2
    assert (more.p_values(usual, residual=np.full(500, 1e6)) == 1 / (domain.n + 1)).all()
    assert (more.p_values(usual, residual=np.full(500, np.nan)) == 1 / (domain.n + 1)).all()
    for name in ("residual", "u", "a"):
        with pytest.raises(ValueError, match=f"signal='{name}'"):
            more.with_signal(name, rng.random(domain.n), 1.0)
    with pytest.raises(ValueError, match="must have 99 values"):
        domain.with_signal("other", rng.random(3), 1.0)


def test_the_calibration_inputs_inside_are_those_that_are_kept(domain):
    """All but the ``⌈level (n + 1)⌉ − 1`` outermost, which is where p falls below the level."""
    for level, out in ((0.02, 1), (0.1, 9), (0.105, 10)):
        assert domain.n - domain.inside(level).sum() == out
    with pytest.raises(ValueError, match=r"level=0\.01: needs 100 calibration trajectories"):
        domain.inside(0.01)


def test_it_comes_back_from_what_a_file_keeps(domain):
    settings = json.loads(json.dumps(domain.settings()))
    again = Domain.of(settings, domain.arrays())
    inputs = draws(20, np.random.default_rng(7), reach=1.3)
    np.testing.assert_array_equal(again.p_values(inputs), domain.p_values(inputs))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s, a: s.pop("ranges"),
        lambda s, a: s["ranges"].update(c=[0, 1]),
        lambda s, a: s["ranges"].update(a=[1, -1]),
        lambda s, a: s["scales"].update(box=0.0),
        lambda s, a: s["scales"].pop("box"),
        lambda s, a: s.update(logarithmic=["a"]),
        lambda s, a: a.update({"points": a["points"][:, :1]}),
        lambda s, a: a.update({"points": np.full_like(a["points"], np.nan)}),
        lambda s, a: a.update({"calibration.u": a["calibration.u"][:5]}),
        lambda s, a: a.update({"field.u.basis": a["field.u.basis"][:, :5]}),
        lambda s, a: a.pop("field.u.reference"),
    ],
)
def test_what_does_not_belong_together_is_refused(domain, spoil):
    settings, arrays = json.loads(json.dumps(domain.settings())), dict(domain.arrays())
    spoil(settings, arrays)
    with pytest.raises(ValueError, match="domain: "):
        Domain.of(settings, arrays)


def test_it_needs_numpy_alone():
    """A customer's package carries a copy of the file."""
    from surrogate.trust import domain as module

    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('copied', {module.__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['copied'] = module\n"
        "spec.loader.exec_module(module)\n"
        "ours = {'torch', 'scipy', 'simulations', 'surrogate', 'numba'}\n"
        "sys.exit(len(ours & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
