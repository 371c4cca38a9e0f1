"""The Fourier neural operator with its transforms as small real matrix products.

References:
    Z. Li et al., "Fourier neural operator for parametric partial differential equations",
    ICLR 2021, arXiv:2010.08895 (the architecture).
    E. Perez et al., "FiLM: visual reasoning with a general conditioning layer", AAAI 2018,
    arXiv:1709.07871 (the conditioning on scalars).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.network import Network, Signature

Transforms = list[tuple[Tensor, Tensor]]
"""For each axis the matrix to Fourier coefficients and the matrix back to grid values."""


def fourier_transforms(
    grid: Sequence[int],
    modes: Sequence[int],
    periodic: Sequence[bool],
    padding: float = 0.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Transforms:
    """Matrices of the Fourier transform of real fields, truncated to ``|k| < modes`` on each axis.

    A field of period ``P`` has the coefficients ``c_k = (1/P) ∫ u(x) exp(-2πi k x / P) dx``. On a
    periodic axis ``P = 1`` and the matrices are those of the FFT with ``norm="forward"``. On any
    other axis the integral runs over the cells of the domain only and ``P = 1 + padding``: the
    field is extended by zero, at no cost. The coefficients do not depend on the resolution;
    frequencies that a grid cannot represent are left out on that grid.

    Complex numbers are pairs of real ones: for the last axis the coefficients are stored as
    ``(2, k)`` for ``k = 0 … modes-1``; for the others ``k = 1-modes … modes-1``, and values are
    stored as ``(n, 2)`` and coefficients as ``(2, k)``. This order makes every step of
    :class:`SpectralConv` a product of contiguous arrays.

    Args:
        grid: number of points along each axis.
        modes: number of frequencies ``0 … modes-1`` along each axis.
        periodic: whether each axis is periodic.
        padding: length of the extension by zero of the other axes, as a fraction of the domain.
        dtype: of the matrices; they are computed in float64.
        device: of the matrices.

    Returns:
        Pairs of matrices: on the last axis ``(2k, n)`` and ``(n, 2k)``, before it ``(2k, 2n)`` and
        ``(2n, 2k)``.
    """
    transforms = []
    for axis, (n, kept, wraps) in enumerate(zip(grid, modes, periodic, strict=True)):
        last = axis == len(grid) - 1
        period = 1.0 if wraps else 1.0 + padding
        x = (torch.arange(n, dtype=torch.float64) + (0.0 if wraps else 0.5)) / n
        k = torch.arange(0 if last else 1 - kept, kept, dtype=torch.float64)
        phase = 2 * math.pi * torch.outer(x, k) / period
        cos, sin = phase.cos(), phase.sin()
        weight = (k.abs() < n * period / 2).double() / (n * period)
        if last:
            # c_-k is the conjugate of c_k: both halves of the sum are in the factor 2.
            halves = 2.0 - (k == 0).double()
            analysis = torch.cat([cos * weight, -sin * weight], dim=1).T
            synthesis = torch.cat([cos * halves, -sin * halves], dim=1)
        else:
            turn = torch.stack([cos, sin, -sin, cos]).reshape(2, 2, n, kept * 2 - 1)
            analysis = (turn * weight).permute(0, 3, 2, 1).reshape(2 * len(k), 2 * n)
            synthesis = turn.permute(2, 1, 0, 3).reshape(2 * n, 2 * len(k))
        transforms.append(
            (
                analysis.contiguous().to(device, dtype),
                synthesis.contiguous().to(device, dtype),
            )
        )
    return transforms


class SpectralConv(nn.Module):
    """Convolution with a band-limited kernel, ``v(x) = Re Σ_k exp(2πi k·x) W_k c_k(u)``.

    Args:
        in_channels: channels of ``u``.
        out_channels: channels of ``v``.
        modes: number of frequencies ``0 … modes-1`` along each axis.

    Attributes:
        weight: ``W``, shape ``(2, frequencies, in_channels, out_channels)``: real and imaginary
            part; the frequencies of all axes flattened in the order of :func:`fourier_transforms`.
    """

    def __init__(self, in_channels: int, out_channels: int, modes: Sequence[int]) -> None:
        super().__init__()
        frequencies = math.prod(2 * k - 1 for k in modes[:-1]) * modes[-1]
        self.weight = nn.Parameter(torch.empty(2, frequencies, in_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        # By Parseval a standard deviation of 1 / sqrt(2 in_channels) would preserve the variance
        # of a band-limited field. A tenth of it starts the network as a nearly local map, from
        # which it trains to a lower error.
        nn.init.normal_(self.weight, std=0.1 / math.sqrt(2 * self.weight.shape[2]))

    def forward(self, u: Tensor, transforms: Transforms, onto: Tensor | None = None) -> Tensor:
        """Convolve ``u`` of shape ``(batch, *grid, in_channels)``; the grid is kept.

        Adding the result to ``onto`` here saves a pass over memory.
        """
        batch, *grid, _ = u.shape
        _, frequencies, in_channels, out_channels = self.weight.shape
        c = u
        for axis in reversed(range(len(grid))):
            analysis, _ = transforms[axis]
            c = analysis @ c.reshape(batch * math.prod(grid[:axis]), analysis.shape[1], -1)
        c = c.reshape(batch, 2, frequencies, in_channels).permute(2, 1, 0, 3)
        c = c.reshape(frequencies, 2 * batch, in_channels)
        # (re + i im) (W_re + i W_im) in two products, without the (2C, 2C) real form of W.
        by_real, by_imag = torch.bmm(c, self.weight[0]), torch.bmm(c, self.weight[1])
        real = by_real[:, :batch] - by_imag[:, batch:]
        imag = by_real[:, batch:] + by_imag[:, :batch]
        v = torch.stack([real.transpose(0, 1), imag.transpose(0, 1)], dim=1)
        for axis, (_, synthesis) in enumerate(transforms):
            lines = batch * math.prod(grid[:axis])
            v = v.reshape(lines, synthesis.shape[1], -1)
            if onto is not None and axis == len(grid) - 1:
                onto = onto.reshape(lines, synthesis.shape[0], out_channels)
                v = torch.baddbmm(onto, synthesis.expand(lines, -1, -1), v)
            else:
                v = synthesis @ v
        return v.reshape(batch, *grid, out_channels)


class Pointwise(nn.Linear):
    """The same linear map of the channels at every point of a grid, ``(batch, *grid, channels)``.

    On a CPU in single precision it is computed as a convolution with a kernel of one point. The
    numbers are those of the matrix product, but oneDNN is up to twice as fast as the BLAS at
    matrices as tall and narrow as these, above all on CPUs not made by Intel.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self._is_faster_as_convolution(x):
            return super().forward(x)
        image = x.reshape(x.shape[0], -1, 1, self.in_features).permute(0, 3, 1, 2)
        image = F.conv2d(image, self.weight[:, :, None, None], self.bias)
        return image.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)

    def _is_faster_as_convolution(self, x: Tensor) -> bool:
        return (
            x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.ndim > 2
            and x.shape[0] > 1
            and self.out_features >= 16
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )


class FourierBlock(nn.Module):
    """One layer of :class:`FNO`, with all terms of its equations."""

    def __init__(
        self, width: int, modes: Sequence[int], channel_mlp: float | None, last: bool
    ) -> None:
        super().__init__()
        self.last = last
        self.spectral = SpectralConv(width, width, modes)
        self.local = Pointwise(width, width)
        self.gate = None
        if channel_mlp is None:
            self.mix = mlp(width, None, width)
        else:
            self.mix = mlp(width, round(channel_mlp * width), width)
            self.gate = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, transforms: Transforms, modulation: Tensor | None) -> Tensor:
        y = self.spectral(x, transforms, onto=self.local(x))
        if modulation is not None:
            scale, shift = modulation.unbind(dim=1)
            y = torch.addcmul(shift, 1 + scale, y)
        if self.gate is None:
            return x + self.mix(F.gelu(y))
        if self.last:
            return torch.addcmul(self.mix(y), self.gate, x)
        return F.gelu(torch.addcmul(self.mix(F.gelu(y)), self.gate, x))


def mlp(inputs: int, hidden: int | None, outputs: int) -> nn.Sequential:
    """One hidden layer with GELU, or a linear map where ``hidden`` is None."""
    if hidden is None:
        return nn.Sequential(Pointwise(inputs, outputs))
    return nn.Sequential(Pointwise(inputs, hidden), nn.GELU(), Pointwise(hidden, outputs))


class FNO(Network):
    """Fourier neural operator on 1-D, 2-D and 3-D grids, channels last.

        x_0     = lift(fields, coordinates)
        y_l     = (1 + γ_l) ⊙ (K_l x_l + W_l x_l + b_l) + β_l
        x_{l+1} = x_l + V_l GELU(y_l)
        fields  = project(x_L)

    with the convolution ``K_l`` of `SpectralConv` and, for each channel, a scale ``γ_l`` and a
    shift ``β_l`` that a small MLP computes from the scalars. Scalar outputs come from the mean of
    ``x_L`` over the grid. With ``channel_mlp`` the blocks are those of neuraloperator,
    ``x_{l+1} = GELU(MLP(GELU(y_l)) + g_l ⊙ x_l)``, in the last one without the outer two GELU.

    On a fully periodic grid the map commutes with translations. Coordinates are appended only
    where there is an origin: ``2x - 1`` on axes that are not periodic, and ``sin 2πx, cos 2πx`` on
    periodic ones if asked for or if nothing else tells the points apart (no field inputs).

    A fresh network is nearly local, see `SpectralConv.reset_parameters`, and nearly
    unconditioned: the last layer of the conditioning MLP starts at a tenth of its usual size.

    Args:
        modes: frequencies ``0 … modes-1`` kept along each axis, one number or one for each axis;
            at most as many as the grid can represent.
        width: channels of the hidden fields.
        layers: number of blocks.
        projection: hidden width of the output MLPs.
        lifting: hidden width of the input MLP; by default the lift is linear.
        channel_mlp: use the blocks of neuraloperator, with this ratio of hidden to outer width.
        padding: extension by zero of axes that are not periodic, as a fraction of the domain.
        coordinates: append coordinates of periodic axes too, for problems with a pattern fixed in
            space such as a forcing.

    Raises:
        ValueError: if a setting is out of range.
    """

    any_grid = True
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 100,
        "batch_size": 20,
        "learning_rate": 4e-3,
    }
    lift: nn.Sequential
    project: nn.Sequential | None
    readout: nn.Sequential | None
    modulate: nn.Sequential | None

    def __init__(
        self,
        modes: int | Sequence[int] = 16,
        width: int = 32,
        layers: int = 4,
        projection: int = 128,
        lifting: int | None = None,
        channel_mlp: float | None = None,
        padding: float = 0.25,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            modes=modes if isinstance(modes, int) else list(modes),
            width=width,
            layers=layers,
            projection=projection,
            lifting=lifting,
            channel_mlp=channel_mlp,
            padding=padding,
            coordinates=coordinates,
        )
        self._geometries: dict[tuple[int, ...], tuple[Transforms, Tensor]] = {}
        for name in ("width", "layers", "projection"):
            if self.config[name] < 1:
                raise ValueError(f"{name}={self.config[name]}: must be at least 1")
        if (modes if isinstance(modes, int) else min(modes)) < 1:
            raise ValueError(f"modes={modes}: must be at least 1")
        if not 0 <= padding <= 1:
            raise ValueError(f"padding={padding}: must lie in [0, 1]")

    def create_layers(self, signature: Signature) -> None:
        grid, periodic = signature.grid, signature.periodic
        if len(grid) not in (1, 2, 3):
            raise ValueError(f"grid={grid}: FNO works on grids of one, two or three axes")
        modes, width = self.config["modes"], self.config["width"]
        modes = [modes] * len(grid) if isinstance(modes, int) else modes
        if len(modes) != len(grid):
            raise ValueError(f"modes={modes}: one number for each axis of grid={grid} is needed")
        # |k| < n P / 2 stays clear of the Nyquist frequency, whose sine vanishes on the grid.
        periods = [1.0 if wraps else 1.0 + self.config["padding"] for wraps in periodic]
        self.modes = [
            min(k, math.ceil(n * period / 2))
            for k, n, period in zip(modes, grid, periods, strict=True)
        ]
        everywhere = self.config["coordinates"] or signature.in_channels == 0
        self.located = [everywhere or not wraps for wraps in periodic]
        positions = sum(
            (2 if wraps else 1) * is_located
            for wraps, is_located in zip(periodic, self.located, strict=True)
        )
        layers, hidden = self.config["layers"], self.config["projection"]
        self.lift = mlp(signature.in_channels + positions, self.config["lifting"], width)
        self.blocks = nn.ModuleList(
            FourierBlock(width, self.modes, self.config["channel_mlp"], last=layer == layers - 1)
            for layer in range(layers)
        )
        self.project = (
            mlp(width, hidden, signature.out_channels) if signature.out_channels else None
        )
        self.readout = mlp(width, hidden, signature.out_scalars) if signature.out_scalars else None
        self.modulate = None
        if signature.in_scalars:
            self.modulate = mlp(signature.in_scalars, width, layers * 2 * width)
            for parameter in self.modulate[-1].parameters():
                parameter.data *= 0.1

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        batch, *grid, _ = fields.shape
        transforms, coordinates = self._geometry(tuple(grid))
        x = self.lift(torch.cat([fields, coordinates.expand(batch, *coordinates.shape)], dim=-1))
        modulations = [None] * len(self.blocks)
        if self.modulate is not None:
            shape = (batch, len(self.blocks), 2, *[1] * len(grid), x.shape[-1])
            modulations = self.modulate(scalars).reshape(shape).unbind(dim=1)
        for block, modulation in zip(self.blocks, modulations, strict=True):
            x = block(x, transforms, modulation)
        out_fields = x.new_empty(batch, *grid, 0) if self.project is None else self.project(x)
        if self.readout is None:
            return out_fields, x.new_empty(batch, 0)
        return out_fields, self.readout(x.flatten(1, -2).mean(dim=1))

    def _geometry(self, grid: tuple[int, ...]) -> tuple[Transforms, Tensor]:
        """Transforms and coordinates on a grid, kept for the next call."""
        if grid in self._geometries:
            return self._geometries[grid]
        assert self.signature is not None
        periodic = self.signature.periodic
        weight = next(self.lift.parameters())
        geometry = (
            fourier_transforms(
                grid, self.modes, periodic, self.config["padding"], weight.dtype, weight.device
            ),
            _coordinates(grid, periodic, self.located).to(weight),
        )
        # What is computed while a graph is being recorded belongs to that graph.
        if not torch.compiler.is_compiling():
            self._geometries[grid] = geometry
        return geometry

    def build(self, signature: Signature) -> Self:
        super().build(signature)
        self._geometry(signature.grid)
        return self

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # After a change of type or device the matrices come from float64 again, not from a cast.
        super()._apply(fn, recurse)
        self._geometries = {}
        if self.signature is not None:
            self._geometry(self.signature.grid)
        return self


def _coordinates(grid: Sequence[int], periodic: Sequence[bool], located: Sequence[bool]) -> Tensor:
    """Position of each point along the located axes, shape ``(*grid, coordinates)``."""
    coordinates = [torch.empty(*grid, 0, dtype=torch.float64)]
    for axis, n in enumerate(grid):
        if not located[axis]:
            continue
        if periodic[axis]:
            angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
            position = torch.stack([angle.sin(), angle.cos()], dim=-1)
        else:
            position = ((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1)[:, None]
        shape = [n if other == axis else 1 for other in range(len(grid))]
        coordinates.append(position.reshape(*shape, -1).expand(*grid, -1))
    return torch.cat(coordinates, dim=-1)
