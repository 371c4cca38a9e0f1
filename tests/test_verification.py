"""Every system does what its verification says: run as ``surrogate verify`` runs it."""

import json
import math

import pytest

import simulations
from simulations.simulation import InvalidInput
from simulations.verification import checks, page, run
from simulations.verification.check import Check, Finding, at_most, close_to, order

ALL = [
    pytest.param(check, id=check.name, marks=[pytest.mark.slow] if check.slow else [])
    for check in checks()
]


@pytest.mark.parametrize("check", ALL)
def test_holds(check):
    findings = list(check.measure())
    assert findings
    assert all(finding.holds for finding in findings), findings


def test_every_system_has_a_verification_that_the_default_run_includes():
    verified = {check.system.__name__ for check in checks() if not check.slow}
    assert set(simulations.systems.__all__) <= verified


def test_an_unknown_system_has_no_checks():
    with pytest.raises(InvalidInput, match="Nothing: no such system; there are Acoustics"):
        checks("Nothing")


def test_a_bound_is_a_bound():
    assert at_most("error", -0.5, 0.5).holds
    assert not at_most("error", 0.6, 0.5).holds
    assert not at_most("error", math.nan, 0.5).holds


def test_a_published_value_has_two_sides():
    assert close_to("slope", 1.05, 1.0, 0.1, "book").holds
    for measured in (0.8, 1.2, math.nan):
        assert not close_to("slope", measured, 1.0, 0.1, "book").holds


def test_an_order_is_measured_from_errors():
    sizes = [1.0, 0.5, 0.25]
    assert order("error", sizes, [h**4 for h in sizes], 4).measured == pytest.approx(4.0)
    assert order("error", sizes, [h**4 for h in sizes], 4).holds
    assert not order("error", sizes, [h**3 for h in sizes], 4).holds
    assert isinstance(order("error", sizes, [1, 0.5, math.nan], 1), Finding)
    assert not order("error", sizes, [1, 0.5, math.nan], 1).holds


def test_what_fails_is_said_on_the_page_and_in_the_terminal():
    def measure():
        yield at_most("|error|", 2.0, 1.0)
        yield close_to("slope", 1.0, 1.0, 0.1, "book")
        yield order("error", [1.0, 0.5], [1.0, 0.25], 2)

    result = run(Check(simulations.Burgers, "A title", measure, slow=False))
    assert not result.holds
    assert "FAIL |error|: 2, at most 1" in result.text()
    assert "ok   slope: 1, expected 1 ± 0.1" in result.text()
    written = page([result])
    assert r"| \|error\| | 2 | at most 1 |  | ✗ |" in written
    assert "| slope | 1 | expected 1 ± 0.1 | book | ✓ |" in written
    assert "| error: order | 2 | expected 2, at least 1.75 | scheme | ✓ |" in written
    assert "0 of 1 checks hold" in written
    assert json.loads(json.dumps(result.to_json()))["findings"][0]["holds"] is False
