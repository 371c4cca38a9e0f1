"""Pictures and the page: what they show, and that the page needs nothing but itself."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import simulations
from surrogate import plot
from surrogate.comparison import Comparison, Contender, Example
from surrogate.comparison.reference import Reference
from surrogate.report import write_report
from tests.toy import Toy

VOID = {"meta", "br", "img", "link"}


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def comparison():
    """Made up, with a solver that fails, a network, and fields of every kind."""
    toy = Toy(n=8, n_times=3)
    names = list(toy.fields)

    def contender(name, kind, error, seconds, batch=None, fails=0):
        values = tuple([error * (1 + 0.1 * i) for i in range(4 - fails)] + [math.nan] * fails)
        return Contender(name, kind, dict.fromkeys(names, values), seconds, batch)

    truth = toy.run(toy.sample(np.random.default_rng(1)))
    prediction = {name: values + 0.1 for name, values in truth.items()}
    parameters = {"kappa": 0.01, "offset": 0.5}
    return Comparison(
        system="Toy",
        settings=toy.settings,
        inputs={"origin": "4 fresh draws, seed 0", "parameters": [parameters] * 4},
        ladder=(
            contender("n=8", "solver", 0.001, 0.08),
            contender("n<8 & fast", "solver", 0.01, 0.01),
            contender("n=4", "solver", 0.05, 0.004, fails=1),
            contender("n=2", "solver", 0.1, 0.002),
        ),
        surrogate=contender("surrogate", "surrogate", 0.02, 0.001, 0.0001),
        trivial=(contender("training mean", "trivial", 0.9, 0.0001),),
        reference=Reference({**toy.settings, "n": 16}, 1e-5, 0.0, 2.0),
        batch_size=64,
        training={
            "seconds": 60.0,
            "data_seconds": 5.0,
            "network": "FNO",
            "weights": 1234,
            "history": [{"train": 0.5, "valid": 0.4}, {"train": 0.1, "valid": None}],
        },
        machine={"processor": "an old one", "threads": 1},
        cautions=("a <script>alert(1)</script> & more",),
        examples=(
            Example("median", parameters, 0.02, truth, prediction),
            Example("worst", parameters, 0.03, truth, prediction),
        ),
    )


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what the page would fetch and show."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.targets, self.shown, self.ids = [], [], [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href"):
                self.targets.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.shown += data


@pytest.fixture(scope="module")
def text(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "page.html"
    comparison.save_report(path)
    return path.read_text(encoding="utf-8")


class TestPage:
    def test_is_well_formed_and_needs_nothing_else(self, text):
        page = Page(text)
        assert page.open == []
        assert all(target.startswith(("#", "data:image/png;base64,")) for target in page.targets)
        assert not re.search(r"url\((?!#)|@import|<script", text)
        assert {target for target in page.targets if target.startswith("#")} <= {
            f"#{name}" for name in page.ids
        }

    def test_shows_the_verdict_first_and_every_figure_after_it(self, text, comparison):
        shown = Page(text).shown
        order = [
            shown.index(part)
            for part in (
                comparison.verdict,
                "The median case",
                "The worst case",
                "Accuracy against cost",
                "Errors and times",
                "Training",
                "How this was measured",
            )
        ]
        assert order == sorted(order)
        for part in ("kappa = 0.01", "fails on 25 %", "training mean", "an old one", "FNO, 1,234"):
            assert part in shown
        for name in comparison.simulation.fields:
            assert name in shown

    def test_pictures_take_the_colour_of_the_page(self, text):
        assert "currentColor" in text
        assert "#010203" not in text
        assert "prefers-color-scheme:dark" in text
        assert "@media print" in text

    def test_three_panels_for_maps_and_two_for_curves(self, text):
        # Each case: theta, flux and load as maps, power over time as curves; and two more pictures
        assert Page(text).tags.count("svg") == 2 * (3 * 3 + 2) + 2

    def test_what_comes_from_outside_is_text(self, text):
        assert "<script>" not in text
        assert "a <script>alert(1)</script> & more" in Page(text).shown

    def test_several_systems_on_one_page(self, comparison, tmp_path):
        good = replace(comparison, examples=())
        slow = Contender("surrogate", "surrogate", comparison.surrogate.errors, 1.0, 0.5)
        write_report(tmp_path / "both.html", [good, replace(good, surrogate=slow)])
        text = (tmp_path / "both.html").read_text(encoding="utf-8")
        page = Page(text)
        assert page.open == []
        assert {"#system-0", "#system-1"} <= set(page.targets)
        assert "the solver wins; this surrogate is not worth its training" in page.shown
        assert 'class="verdict good"' in text
        assert 'class="verdict bad"' in text

    def test_from_json_there_are_no_pictures_of_fields(self, comparison, tmp_path):
        again = Comparison.from_json(json.loads(json.dumps(comparison.to_json())))
        again.save_report(tmp_path / "page.html")
        page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
        assert comparison.verdict in page.shown
        assert page.tags.count("svg") == 2

    def test_same_comparison_same_bytes(self, comparison, tmp_path):
        for name in ("one", "two"):
            replace(comparison, examples=()).save_report(tmp_path / name)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


class TestFields:
    toy = Toy(n=8, n_times=3)

    def test_maps_have_the_true_coordinates(self, ax):
        theta = np.random.default_rng(0).normal(size=(3, 8, 4))
        assert plot.plot_field(self.toy, "theta", theta, ax) is ax
        [mesh] = ax.collections
        corners = mesh.get_coordinates()
        assert corners.shape == (5, 9, 2)
        # Periodic points are centres of cells; across, the cells fill the space between the walls
        assert corners[0, 0].tolist() == pytest.approx([-0.125, 0.0])
        assert corners[-1, -1].tolist() == pytest.approx([1.875, 1.0])
        # The last frame, x to the right and y upwards
        np.testing.assert_array_equal(mesh.get_array(), theta[-1].T)
        assert ax.get_xlabel() == "x in m"
        assert ax.get_title() == "t = 0.5 s"

    def test_vectors_and_tensors_by_their_magnitude(self, ax):
        flux = np.zeros((3, 8, 4, 2))
        flux[..., 0], flux[..., 1] = 3.0, -4.0
        plot.plot_field(self.toy, "flux", flux, ax, limits=(0.0, 10.0))
        [mesh] = ax.collections
        np.testing.assert_allclose(mesh.get_array(), 5.0)
        assert mesh.get_clim() == (0.0, 10.0)
        load = flux[..., None] * np.array([1.0, 1.0])
        np.testing.assert_allclose(plot.magnitude(self.toy, "load", load), 5 * math.sqrt(2))

    def test_orbits_of_particles(self, ax):
        bodies = simulations.NBody(n=3, n_times=20)
        assert plot.portrait_fields(bodies) == ("x", "y")
        assert plot.portrait_fields(simulations.Lorenz96()) is None
        solution = bodies(seed=0)
        plot.plot_portrait(bodies, solution, ax)
        assert len(ax.lines) == 4
        np.testing.assert_array_equal(ax.lines[1].get_xdata(), solution["x"][:, 1])
        np.testing.assert_array_equal(ax.lines[3].get_ydata(), solution["y"][-1])

    def test_a_logarithmic_axis_for_logarithmic_times(self, ax):
        kinetics = simulations.Robertson(n_times=30)
        plot.plot_field(kinetics, next(iter(kinetics.fields)), np.ones(30), ax)
        assert ax.get_xscale() == "symlog"
        other = plot.plot_field(self.toy, "power", np.ones(3), Figure().add_subplot())
        assert other.get_xscale() == "linear"

    def test_colours_are_centred_where_signs_change(self, ax):
        theta = np.full((3, 8, 4), 1.0)
        theta[-1, 0, 0] = -3.0
        plot.plot_field(self.toy, "theta", theta, ax, style="error")
        assert ax.collections[0].get_clim() == (-3.0, 3.0)

    def test_curves_over_time_and_space(self, ax):
        power = np.array([1.0, 2.0, 3.0])
        plot.plot_field(self.toy, "power", power, ax)
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.c_[self.toy.times, power])
        burgers = simulations.Burgers(n=16, n_times=5)
        u = np.arange(5.0)[:, None] * np.ones(16)
        over_space = Figure().add_subplot()
        plot.plot_field(burgers, "u", u, over_space)
        # The given frame is left out
        assert [line.get_ydata()[0] for line in over_space.lines] == [1.0, 2.0, 4.0]
        assert over_space.get_ylabel() == "velocity in m s⁻¹"

    def test_long_evolutions_are_maps_of_space_and_time(self, ax):
        burgers = simulations.Burgers(n=16, n_times=40, t_end=2.0)
        u = np.random.default_rng(0).normal(size=(40, 16))
        plot.plot_field(burgers, "u", u, ax)
        np.testing.assert_array_equal(ax.collections[0].get_array(), u)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x in m", "time in s")

    @pytest.mark.parametrize("ending", ["png", "svg"])
    def test_a_solution_is_saved_with_all_its_fields(self, tmp_path, ending):
        path = tmp_path / f"toy.{ending}"
        plot.save_solution(self.toy, self.toy(seed=0), path)
        assert path.stat().st_size > 10_000

    def test_makes_axes_of_its_own_if_it_has_to(self):
        try:
            ax = plot.plot_history([{"train": 0.5, "valid": 0.4}])
            assert ax.get_ylabel() == "relative L2 error"
        finally:
            plt.close("all")


class TestCurves:
    def test_history_marks_the_epoch_that_was_kept(self, ax):
        errors = [0.5, 0.2, 0.3, math.nan]
        plot.plot_history([{"train": e / 2, "valid": e} for e in errors], ax)
        assert ax.lines[2].get_xydata().tolist() == [[2.0, 0.2]]
        assert ax.get_yscale() == "log"

    def test_accuracy_and_cost_of_everybody(self, ax, comparison):
        assert comparison.plot(ax) is ax
        drawn = np.concatenate([line.get_xydata() for line in ax.lines])
        for contender in comparison.contenders:
            assert [contender.seconds, pytest.approx(contender.error)] in drawn.tolist()
        model = comparison.surrogate
        assert [model.batch_seconds, pytest.approx(model.error)] in drawn.tolist()
        texts = [text.get_text() for text in ax.texts]
        assert "fails on 25 %" in texts
        assert {"n=8", "n<8 & fast", "n=2"} <= set(texts)
        assert ax.get_xscale() == ax.get_yscale() == "log"

    @pytest.mark.parametrize(
        ("unit", "text"), [("1", "speed"), ("m s-1", "speed in m s⁻¹"), ("m2", "speed in m²")]
    )
    def test_units(self, unit, text):
        assert plot.with_unit("speed", unit) == text


class TestPortraits:
    def test_an_orbit_is_drawn_against_its_first_two_fields(self):
        simulation = simulations.Lorenz63(t_end=2.0, n_times=50)
        solution = simulation(seed=0)
        ax = plot.plot_portrait(simulation, solution)
        orbit, end = ax.lines
        assert np.array_equal(orbit.get_xdata(), solution["x"])
        assert np.array_equal(orbit.get_ydata(), solution["y"])
        assert end.get_xdata() == [solution["x"][-1].item()]
        assert ax.get_xlabel() == "rate of convection"

    def test_a_field_in_space_has_none(self):
        simulation = simulations.Burgers(n=32)
        assert plot.portrait_fields(simulation) is None
        with pytest.raises(ValueError, match="Burgers has no phase portrait"):
            plot.plot_portrait(simulation, simulation(seed=0))

    def test_a_picture_of_a_system_without_space(self, tmp_path):
        simulation = simulations.Lorenz63(t_end=2.0, n_times=50)
        plot.save_solution(simulation, simulation(seed=0), tmp_path / "lorenz.png")
        assert (tmp_path / "lorenz.png").read_bytes().startswith(b"\x89PNG")
