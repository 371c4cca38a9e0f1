# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Out of the laboratory
#
# A surrogate is of use where others can call it: a colleague without this library, a program in
# another language, a system simulator, a browser. This notebook hands one surrogate over in all
# these ways and checks that the numbers survive.

# %%
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import xarray

import simulations
import surrogate
from surrogate import plot

folder = Path(tempfile.mkdtemp())
cavity = simulations.NaturalConvection(n=24, tolerance=1e-3)
data = simulations.generate(cavity, 100, folder / "data", progress=False)
emulator = surrogate.calibrated(surrogate.train(data, progress=False), n=60, progress=False)
ours = emulator(rayleigh=2e5, prandtl=0.71)
ours.attrs["answered_by"], ours.nusselt.item(), emulator.calibration

# %% [markdown]
# It is calibrated before it leaves: whoever gets it cannot ask the solver any more, and the bounds
# are all that tells them what an answer is worth.
#
# ## A package for a customer
#
# A wheel with the model, its description, its bounds and a command line. It needs numpy and
# onnxruntime; neither torch nor this library is in it, and the solver stays at home. We install it
# into an empty folder and call it from a Python that sees nothing of our own code (`-P` keeps the
# present folder out of its path).

# %%
wheel = surrogate.export(emulator, folder / "dist", to="wheel", name="cavity-heat", licence="MIT")
print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
customer = folder / "customer"
install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
install += ["--no-deps", "--no-index", "--target", customer, wheel]
subprocess.run(install, check=True)
program = """
import sys
from cavity_heat import predict
answer = predict(rayleigh=2e5, prandtl=0.71)
print(f"Nusselt number {answer['nusselt'].item():.4f}, off by at most")
print(f"{answer.error_bound['nusselt']:.2%} with a probability of {answer.coverage:.0%}")
print("usual input:", bool(answer.in_domain), "p =", float(answer.domain_p_value))
print("what it has loaded of ours:", [m for m in ("torch", "surrogate") if m in sys.modules])
"""
alone = {"env": {"PYTHONPATH": str(customer)}, "capture_output": True, "text": True}
called = subprocess.run([sys.executable, "-P", "-c", program], check=True, **alone)
print(called.stdout)

# %% [markdown]
# The same from a shell, for people who do not program. Units and ranges are in `--help`, and an
# input outside the range of the training is answered with a warning.

# %%
command = [sys.executable, "-P", "-m", "cavity_heat", "predict", "--prandtl", "0.71"]
for rayleigh in ("2e5", "300", "-2e5"):
    options = ["--rayleigh", rayleigh, "-o", folder / f"{rayleigh}.nc"]
    result = subprocess.run(command + options, **alone)
    said = result.stdout + result.stderr
    print(
        f"--rayleigh {rayleigh}: exit code {result.returncode}", said.strip(), sep="\n", end="\n\n"
    )

# %% [markdown]
# The files are NetCDF, which everything reads, xarray among others:

# %%
xarray.open_dataset(folder / "2e5.nc")

# %% [markdown]
# ## ONNX: the graph alone
#
# For a runtime in C++, C#, Java or a browser. Normalisation is in the graph, so that physical
# numbers go in and physical numbers come out. Nothing is checked there; the ranges are in the
# metadata, and comparing with them is for the client.

# %%
graph = surrogate.export(emulator, folder / "cavity.onnx", to="onnx")
session = onnxruntime.InferenceSession(graph)
about = json.loads(session.get_modelmeta().custom_metadata_map["physurrogate"])
rng = np.random.default_rng(0)
inputs = {
    name: np.exp(rng.uniform(*np.log(p["trained"]), 500)).astype(np.float32)
    for name, p in about["parameters"].items()
}
outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))
here = emulator.predict(**inputs)
for name, values in outputs.items():
    difference = np.abs(values - here[name]).max() / np.abs(here[name]).max()
    print(f"{name}: differs by {difference:.0e} of its maximum")
    assert difference < 1e-5

# %% [markdown]
# `to="fmu"` writes a block for system simulators (FMI 2.0: Dymola, OpenModelica, Simulink, …), with
# C sources that need nothing but a C library. A heat exchanger modelled by a few numbers can then
# have a cavity of partial differential equations in it. `to="torch"` is for programs that have
# torch; it keeps gradients. [Export](../export) says what each form can and cannot do.
#
# ## A service
#
# `surrogate serve` answers over HTTP, with a page that has sliders at the same address. Here it
# runs in a process of its own, on a port that is free.

# %%
emulator.save(folder / "cavity")
main = "from surrogate.cli import main; main()"
service = subprocess.Popen(
    [sys.executable, "-c", main, "serve", str(folder / "cavity"), "--port", "0", "--guard"],
    stderr=subprocess.PIPE,
    text=True,
)
for line in service.stderr:
    if found := re.search(r"http://127\.0\.0\.1:\d+", line):
        break
client = httpx.Client(base_url=found[0], timeout=30)
[model] = client.get("/models").json()["models"]
model["name"], list(model["parameters"]), list(model["fields"])

# %%
body = {"inputs": {"rayleigh": 2e5, "prandtl": 0.71}, "fields": ["nusselt"]}
answer = client.post("/models/cavity/predict", json=body).json()
print(json.dumps(answer, indent=1))

# %% [markdown]
# The bound on the Nusselt number is another one than that of the package, and both hold: the
# service has the network at hand and follows the input, while the package has one figure for all
# inputs, which is right on average over them.
#
# Every answer says who gave it. The service was started with `--guard`, so that an input which the
# surrogate has no business answering goes to the solver, whose runs have a process, a time limit
# and a queue of their own.

# %%
for rayleigh in (2e5, 300.0):
    body["inputs"]["rayleigh"] = rayleigh
    answer = client.post("/models/cavity/predict", json=body)
    said = answer.json()
    print(f"Ra = {rayleigh:.0f}:", answer.status_code, said.get("answered_by"), said.get("reason"))
body["inputs"]["rayleigh"] = -2e5
print(client.post("/models/cavity/predict", json=body).json()["error"]["message"])

# %% [markdown]
# Whole fields travel as they lie in memory. Two hundred of them in one request:

# %%
rayleigh = np.geomspace(1.5e3, 8e5, 200)
batch = {"rayleigh": rayleigh.tolist(), "prandtl": [0.71] * 200}
response = client.post(
    "/models/cavity/predict-batch",
    json={"inputs": batch, "fields": ["temperature", "nusselt"]},
    headers={"accept": "application/x-npy"},
)
received = io.BytesIO(response.content)
fields = {n: np.load(received) for n in json.loads(response.headers["x-answer"])["fields"]}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.loglog(rayleigh, fields["nusselt"].ravel(), color=plot.SURROGATE)
left.set(xlabel="Rayleigh number", ylabel="Nusselt number")
_ = plot.plot_field(cavity, "temperature", fields["temperature"][-1], right)

# %% [markdown]
# On the signal to end, the service takes no more requests and answers those it has:

# %%
client.close()
service.terminate()
service.communicate(timeout=60)
print("ended by signal", -service.returncode)

# %% [markdown]
# For a cluster there are a container file and Kubernetes descriptions in `deploy/`; programs for
# uncertainty quantification ask the same address by UM-Bridge. [Serve a surrogate](../serve) has
# the interface in full, and what keeps a service safe that strangers can reach.
