"""Any executor and any split into jobs: the same bytes, and a parent that remembers little."""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

import simulations
from simulations.generation import execution
from simulations.generation.plan import ShardPlan, plan_shards
from simulations.simulation import InvalidInput, SimulationDiverged
from tests.toy import Toy

ROOT = Path(__file__).parent.parent
N = 12
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Told(Toy):
    """Fails for some conductivities, and says how many threads its process has."""

    def solve(self, inputs):
        print("a solver may print")
        if inputs["kappa"] > 0.03:
            threads = " ".join(os.environ.get(name, "unset") for name in THREADS)
            raise SimulationDiverged(0.0, f"threads {threads}")
        return super().solve(inputs)


@dataclass(frozen=True)
class Broken(Toy):
    """Has a mistake."""

    def solve(self, inputs):
        return super().solve(inputs) if self.n < 12 else {}["theta"]


def digests(folder):
    files = [*folder.glob("data/*/*"), *folder.glob("*.*")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def shards(folder):
    return {path.name: path.stat().st_size for path in folder.glob("data/*/*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Made by processes of our own."""
    path = tmp_path_factory.mktemp("whole") / "toy"
    return simulations.generate(Told(), N, path, workers=1, progress=False)


class TestSameBytes:
    def check(self, whole, executor, folder):
        dataset = simulations.generate(Told(), N, folder, executor=executor, progress=False)
        assert digests(dataset.path) == digests(whole.path)
        lines = (folder / "failures.jsonl").read_text().splitlines()
        assert {json.loads(line)["reason"] for line in lines} == {"threads 1 1 1 1"}
        assert executor.submit(int, "7").result() == 7, "it is left running"

    def test_a_process_pool(self, whole, tmp_path):
        with ProcessPoolExecutor(1, get_context("spawn")) as executor:
            self.check(whole, executor, tmp_path)

    def test_dask(self, whole, tmp_path):
        distributed = pytest.importorskip("distributed")
        with distributed.Client(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
        ) as client:
            self.check(whole, client.get_executor(), tmp_path / "toy")

    @pytest.mark.interop
    def test_mpi(self, whole, tmp_path):
        """Needs mpi4py, and an mpiexec in PHYSURROGATE_MPIEXEC or beside this Python."""
        pytest.importorskip("mpi4py.MPI", exc_type=ImportError)
        mpiexec = os.environ.get("PHYSURROGATE_MPIEXEC", Path(sys.executable).with_name("mpiexec"))
        script = f"""
import sys, simulations
from mpi4py.futures import MPIPoolExecutor
from tests.test_executors import Told
if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        assert executor.num_workers == 2
        simulations.generate(Told(), {N}, sys.argv[1], executor=executor, progress=False)
"""
        (tmp_path / "script.py").write_text(script)
        done = subprocess.run(
            [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "script.py", "toy"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert digests(tmp_path / "toy") == digests(whole.path)


class Counting(Executor):
    """Finishes a task only when the next one does not fit any more."""

    def __init__(self):
        self.futures = []
        self.most = 0

    def submit(self, function, *arguments):
        future = Future()
        self.futures.append(future)
        self.most = max(self.most, len(self.futures))
        if len(self.futures) == 3:
            for done in self.futures:
                done.set_result(0)
            self.futures.clear()
        return future


class TestBackPressure:
    def test_the_plan_is_read_as_shards_are_made(self):
        plans = (ShardPlan("train", number, (number,)) for number in itertools.count())
        executor = Counting()
        made = execution._submit_all(executor, None, None, plans, 3)
        first = [plan.number for plan, _ in itertools.islice(made, 3000)]
        assert sorted(first) == list(range(3000))
        assert executor.most == 3
        assert next(plans).number <= 3003

    def test_a_plan_of_a_trillion_trajectories_starts_at_once(self):
        manifest = {"splits": [0.8, 0.1, 0.1], "n": 10**12, "samples_per_shard": 64}
        plans = list(itertools.islice(plan_shards(manifest), 20))
        assert [plan.name for plan in plans if plan.split == "valid"] == [
            "valid-00000",
            "valid-00001",
        ]

    def test_what_is_waiting_is_cancelled_after_a_failure(self):
        class Failing(Counting):
            def submit(self, function, *arguments):
                future = Future()
                self.futures.append(future)
                if len(self.futures) == 3:
                    self.futures[0].set_exception(ZeroDivisionError())
                return future

        plans = (ShardPlan("train", number, (number,)) for number in itertools.count())
        executor = Failing()
        with pytest.raises(ZeroDivisionError):
            list(execution._submit_all(executor, None, None, plans, 3))
        assert [future.cancelled() for future in executor.futures] == [False, True, True]


class TestParts:
    def test_the_last_job_to_finish_writes_the_summary(self, whole, generate_here, tmp_path):
        # Of a shard for each trajectory, every job makes its third
        for job, made in ((2, N // 3), (0, 2 * N // 3), (1, N)):
            assert not (tmp_path / "stats.yaml").exists()
            dataset = generate_here(Told(), N, tmp_path, part=(job, 3))
            assert sum(len(record["indices"]) for record in dataset.records()) == made
        assert shards(tmp_path) == shards(whole.path)
        assert (tmp_path / "stats.yaml").read_bytes() == (whole.path / "stats.yaml").read_bytes()

    def test_a_later_run_completes_what_jobs_have_left(self, whole, generate_here, tmp_path):
        generate_here(Told(), N, tmp_path, part=(1, 4))
        generate_here(Told(), N, tmp_path, part=(3, 4))
        assert not (tmp_path / "stats.yaml").exists()
        generate_here(Told(), N, tmp_path)
        assert shards(tmp_path) == shards(whole.path)
        assert (tmp_path / "stats.yaml").exists()

    def test_more_jobs_than_shards(self, generate_here, tmp_path):
        assert list(generate_here(Toy(), 3, tmp_path, part=(5, 9)).records()) == []

    @pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0), (0.0, 2), (1,), 3, "0/2"])
    def test_parts_that_are_none(self, tmp_path, part):
        complaint = re.escape(f"part={part!r}: must be (i, m) with integers 0 <= i < m")
        with pytest.raises(InvalidInput, match=complaint):
            simulations.generate(Toy(), 3, tmp_path / "d", part=part)
        assert not (tmp_path / "d").exists()


class TestErrors:
    def test_a_mistake_in_a_solver_comes_with_its_place(self, tmp_path):
        with pytest.raises(KeyError, match="theta") as caught:
            simulations.generate(Broken(), 3, tmp_path, workers=1, progress=False)
        assert 'else {}["theta"]' in "".join(caught.value.__notes__)

    def test_an_executor_that_has_lost_its_workers(self, tmp_path):
        with ProcessPoolExecutor(1, get_context("spawn"), os._exit, (1,)) as executor:
            complaint = "the executor has lost its workers .* run the same command again"
            with pytest.raises(RuntimeError, match=complaint):
                simulations.generate(Toy(), 3, tmp_path, executor=executor, progress=False)

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"executor": ThreadPoolExecutor(1)}, "where the workers of an executor cannot find"),
            ({"timeout": 3.0}, "timeout=3: Local is defined in .* interrupted only in a module"),
        ],
    )
    def test_a_class_that_only_this_process_has(self, tmp_path, options, complaint):
        @dataclass(frozen=True)
        class Local(Toy):
            pass

        with pytest.raises(InvalidInput, match=complaint):
            simulations.generate(Local(), 3, tmp_path / "d", **options)
        assert not (tmp_path / "d").exists()

    @pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), "5"])
    def test_a_timeout_out_of_range(self, tmp_path, timeout):
        with pytest.raises(InvalidInput, match=f"timeout={timeout!r}: must be a number in"):
            simulations.generate(Toy(), 3, tmp_path / "d", timeout=timeout)
