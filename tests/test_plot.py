"""Pictures for notebooks and the gallery; those of the pages are in test_report.py."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import simulations
from simulations.grid import Axis, Grid
from simulations.simulation import InvalidInput, Showcase
from surrogate import plot
from tests.toy import Toy


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def solution():
    return Toy()(kappa=0.02, offset=1.0, seed=3)


class TestFields:
    def test_a_solution_knows_its_simulation(self, solution):
        assert plot.simulation_of(solution) == Toy()
        with pytest.raises(ValueError, match="has no attribute 'system'"):
            plot.simulation_of(solution.assign_attrs(system=None).drop_attrs())

    def test_a_labelled_solution_brings_its_values(self, solution, ax):
        plot.plot_field(solution, "theta", ax=ax, frame=2)
        drawn = ax.collections[0].get_array()
        np.testing.assert_array_equal(drawn, solution["theta"].values[2].T)
        assert ax.get_title() == "t = 0.25 s"
        with pytest.raises(ValueError, match="'rho': must be one of"):
            plot.plot_field(solution, "rho")
        with pytest.raises(ValueError, match="values=None"):
            plot.plot_field(Toy(), "theta")

    def test_space_and_time_in_the_middle_of_other_axes(self, solution, ax):
        plot.plot_space_time(solution, "theta", ax=ax)
        np.testing.assert_array_equal(
            ax.collections[0].get_array(), solution["theta"].values[:, :, 3]
        )
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x in m", "time in s")
        speed = np.hypot(*np.moveaxis(solution["flux"].values, -1, 0))
        plot.plot_space_time(solution, "flux", ax=ax)
        np.testing.assert_allclose(ax.collections[-1].get_array(), speed[:, :, 3])
        with pytest.raises(ValueError, match="'power': must be a field on a grid"):
            plot.plot_space_time(solution, "power")

    def test_profiles_over_the_one_axis(self, ax):
        heat = simulations.Heat(ndim=1, n=16, n_times=40)(alpha=0.01, seed=0)
        plot.plot_profiles(heat, "u", ax=ax)
        np.testing.assert_array_equal(ax.lines[-1].get_ydata(), heat["u"].values[-1])
        with pytest.raises(ValueError, match="grid of one axis"):
            plot.plot_profiles(Toy(), "theta", np.zeros((5, 12, 6)))

    def test_an_input_is_drawn_as_it_is(self, solution, ax):
        plot.plot_input(Toy(), "source", solution["source"].values, ax)
        np.testing.assert_array_equal(ax.collections[0].get_array(), solution["source"].values.T)
        assert ax.figure.axes[1].get_ylabel() == "heat source in K s⁻¹"

    def test_all_fields_of_a_solution(self, solution):
        axes = plot.plot_solution(solution)
        assert len(axes) == len(Toy.fields)
        assert "kappa = 0.02" in axes[0].figure.get_suptitle()


class TestSpectra:
    grid = Grid((Axis.periodic("x", 32, 2.0), Axis.periodic("y", 16, 1.0)))

    def test_a_wave_is_one_line_of_its_mean_square(self):
        x, y = np.meshgrid(*(axis.points for axis in self.grid.axes), indexing="ij")
        values = 3.0 * np.cos(2 * np.pi * (2 * x / 2.0 + 2 * y / 1.0)) + 7.0
        k, power = plot.power_spectrum(values, self.grid)
        peak = power.argmax()
        assert power[peak] == pytest.approx(4.5)
        assert power.sum() == pytest.approx(4.5)  # the mean is left out
        assert k[peak] == pytest.approx(2 * np.pi * np.hypot(1, 2), abs=np.pi / 2)

    def test_components_add_up(self):
        values = np.random.default_rng(0).normal(size=(*self.grid.shape, 2))
        _, power = plot.power_spectrum(values, self.grid)
        assert power.sum() == pytest.approx(values.var(axis=(0, 1)).sum())

    def test_walls_do_not_show_as_a_jump(self):
        grid = Grid((Axis.cells("x", 256),))
        _, power = plot.power_spectrum(grid.axes[0].points, grid)
        assert power[64:].max() < 1e-10 * power.max()
        _, power = plot.power_spectrum(np.full(256, 7.0), grid)
        assert power.max() < 1e-20  # a window does not make waves of the mean

    def test_what_has_no_spectrum_is_refused(self):
        nodes = Axis("x", np.array([0.0, 0.1, 1.0]), (0.0, 1.0))
        with pytest.raises(ValueError, match="x are not equidistant"):
            plot.power_spectrum(np.zeros(3), Grid((nodes,)))
        with pytest.raises(ValueError, match="has no space"):
            plot.power_spectrum(np.zeros(()), Grid(()))

    def test_axes_have_units(self, ax):
        burgers = simulations.Burgers(n=16, n_times=2)
        u = np.random.default_rng(0).normal(size=(2, 16))
        plot.plot_spectrum(burgers, "u", {"solver": u, "surrogate": 0.9 * u}, ax)
        assert ax.get_xlabel() == "wave number in rad m⁻¹"
        assert ax.get_ylabel() == "mean square of the velocity in (m s⁻¹)²"
        first, second = (line.get_ydata() for line in ax.lines)
        np.testing.assert_allclose(second, 0.81 * first)


class TestErrors:
    def test_growth_shows_the_median_of_samples(self, ax):
        errors = np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 4.0], [0.0, 3.0, 50.0]])
        plot.plot_error_growth([0.0, 1.0, 2.0], {"FNO": errors}, ax, time_unit="s")
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1.0, 2.0])  # exact at first
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [2.0, 4.0])
        assert ax.get_xlabel() == "time in s"
        with pytest.raises(ValueError, match=r"errors\['FNO'\]: shape \(3,\)"):
            plot.plot_error_growth([0.0, 1.0, 2.0], {"FNO": errors[0]}, ax)

    def test_parity(self, ax):
        plot.plot_parity([1.0, 2.0], [1.5, 1.0], ax, quantity="drag", unit="N")
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1.0, 1.5], [2.0, 1.0]])
        np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[1.0, 1.0], [2.0, 2.0]])
        assert ax.get_ylabel() == "predicted drag in N"
        with pytest.raises(ValueError, match="prediction: shape"):
            plot.plot_parity([1.0, 2.0], [1.5], ax)

    def test_coverage_beside_chance(self, ax):
        plot.plot_coverage([0.5, 0.9], [0.6, 0.8], n=100, ax=ax)
        np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0.5, 0.6], [0.9, 0.8]])
        low, high = ax.collections[0].get_paths()[0].get_extents().intervaly
        assert (low, high) == (0.0, 1.0)
        with pytest.raises(ValueError, match="must lie in"):
            plot.plot_coverage([0.5], [60.0], ax=ax)


class TestGallery:
    def test_one_picture_a_system_and_what_it_shows(self, tmp_path, monkeypatch):
        chosen = Showcase(settings={"n": 20}, inputs={"kappa": 0.01, "offset": 0.0}, seed=4)
        monkeypatch.setattr(Toy, "showcase", chosen)
        (tmp_path / "gallery.json").write_text('{"Other": {"call": "Other()"}}')
        assert list(plot.save_gallery(tmp_path, ["Toy"])) == [tmp_path / "Toy.webp"]
        assert (tmp_path / "Toy.webp").read_bytes()[8:12] == b"WEBP"
        facts = json.loads((tmp_path / "gallery.json").read_text())
        assert sorted(facts) == ["Other", "Toy"]
        assert facts["Toy"]["call"] == "Toy(n=20)(kappa=0.01, offset=0, seed=4)"
        assert facts["Toy"]["seconds"] > 0

    def test_frames_have_the_same_colours(self, solution):
        axes = plot.plot_showcase(solution, Figure())
        assert [ax.get_title() for ax in axes] == ["t = 0 s", "t = 0.25 s", "t = 0.5 s"]
        later = solution["theta"].values[[2, 4]]
        low, high = later.min(), later.max()
        if low < 0 < high:
            low, high = -max(-low, high), max(-low, high)
        # Those that the later frames need: a first one that decays would leave them pale
        assert {ax.collections[0].get_clim() for ax in axes} == {(low, high)}

    def test_the_field_that_a_system_names_comes_first(self, solution, monkeypatch):
        monkeypatch.setattr(Toy, "showcase", Showcase(field="flux"))
        axes = plot.plot_showcase(solution, Figure())
        flux = np.hypot(*np.moveaxis(solution["flux"].values[0], -1, 0))
        np.testing.assert_allclose(axes[0].collections[0].get_array(), flux.T)

    def test_a_steady_problem_shows_its_input(self):
        toy = Toy(n_times=1)
        axes = plot.plot_showcase(toy(seed=0), Figure())
        assert len(axes) == 3
        assert axes[0].figure.axes[3].get_ylabel() == "heat source in K s⁻¹"

    def test_an_unknown_system_is_refused_before_anything_runs(self, tmp_path):
        with pytest.raises(InvalidInput, match="Nonesuch: no such system"):
            list(plot.save_gallery(tmp_path / "new", ["Toy", "Nonesuch"]))
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("system", simulations.catalogue().values())
    def test_every_showcase_can_be_called(self, system):
        from surrogate.plot.gallery import showcase_of

        simulation, arguments = showcase_of(system)
        given = {name: value for name, value in arguments.items() if name != "seed"}
        simulation.check_inputs(given)
        assert (system.showcase.field or next(iter(system.fields))) in system.fields
