"""The physical systems, one a file."""

from simulations.systems.acoustics import Acoustics
from simulations.systems.advection import Advection
from simulations.systems.advection_diffusion import AdvectionDiffusion
from simulations.systems.allen_cahn import AllenCahn
from simulations.systems.burgers import Burgers
from simulations.systems.cahn_hilliard import CahnHilliard
from simulations.systems.compressible_navier_stokes import CompressibleNavierStokes
from simulations.systems.cylinder_wake import CylinderWake
from simulations.systems.darcy_flow import DarcyFlow
from simulations.systems.diffusion_sorption import DiffusionSorption
from simulations.systems.double_pendulum import DoublePendulum
from simulations.systems.euler import Euler
from simulations.systems.fisher_kpp import FisherKPP
from simulations.systems.fitzhugh_nagumo import FitzHughNagumo
from simulations.systems.gray_scott import GrayScott
from simulations.systems.heat import Heat
from simulations.systems.helmholtz import Helmholtz
from simulations.systems.ising import Ising
from simulations.systems.korteweg_de_vries import KortewegDeVries
from simulations.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from simulations.systems.lennard_jones import LennardJones
from simulations.systems.lid_driven_cavity import LidDrivenCavity
from simulations.systems.linear_elasticity import LinearElasticity
from simulations.systems.lorenz63 import Lorenz63
from simulations.systems.lorenz96 import Lorenz96
from simulations.systems.magnetohydrodynamics import MHD
from simulations.systems.maxwell import Maxwell
from simulations.systems.n_body import NBody
from simulations.systems.natural_convection import NaturalConvection
from simulations.systems.navier_stokes import NavierStokes
from simulations.systems.navier_stokes_3d import NavierStokes3D
from simulations.systems.poisson import Poisson
from simulations.systems.radiative_layer import RadiativeLayer
from simulations.systems.rayleigh_benard import RayleighBenard
from simulations.systems.robertson import Robertson
from simulations.systems.schrodinger import Schrodinger
from simulations.systems.shallow_water import ShallowWater
from simulations.systems.shear_flow import ShearFlow
from simulations.systems.swift_hohenberg import SwiftHohenberg
from simulations.systems.wave import Wave

__all__ = [
    "MHD",
    "Acoustics",
    "Advection",
    "AdvectionDiffusion",
    "AllenCahn",
    "Burgers",
    "CahnHilliard",
    "CompressibleNavierStokes",
    "CylinderWake",
    "DarcyFlow",
    "DiffusionSorption",
    "DoublePendulum",
    "Euler",
    "FisherKPP",
    "FitzHughNagumo",
    "GrayScott",
    "Heat",
    "Helmholtz",
    "Ising",
    "KortewegDeVries",
    "KuramotoSivashinsky",
    "LennardJones",
    "LidDrivenCavity",
    "LinearElasticity",
    "Lorenz63",
    "Lorenz96",
    "Maxwell",
    "NBody",
    "NaturalConvection",
    "NavierStokes",
    "NavierStokes3D",
    "Poisson",
    "RadiativeLayer",
    "RayleighBenard",
    "Robertson",
    "Schrodinger",
    "ShallowWater",
    "ShearFlow",
    "SwiftHohenberg",
    "Wave",
]
