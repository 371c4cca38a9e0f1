"""Ideal magnetohydrodynamics, row by row: what `constrained_transport` has to know of it.

A row holds primitive variables of cells side by side, shape ``(8, n)``: ρ, u, v, w, p, B_z, B_x and
B_y, in units in which the magnetic permeability is 1. The first six change by fluxes; the last two
are means of the fields at faces. All loops run along the row without a branch, so that they become
vector instructions.

References:
    Miyoshi, Kusano, Journal of Computational Physics 208 (2005) 315: the flux HLLD.
"""

import numpy as np

from simulations.compilation import kernel

DENSITY, PRESSURE, FIELD_Z, FIELD_X = 0, 4, 5, 6

# Share of the pressure below which the divisor of a star state counts as zero: a switch-on wave
DEGENERATE = 1e-8


@kernel
def electric(here, electric):
    """E_z = v B_x − u B_y of the cells of a row."""
    u, v, bx, by = here[1], here[2], here[FIELD_X], here[FIELD_X + 1]
    for k in range(electric.size):
        electric[k] = v[k] * bx[k] - u[k] * by[k]


@kernel
def predict(gamma, here, slope, ratio, axis, predicted):
    """Add half a step of the terms with derivatives along one axis, from half differences.

    The normal component of the field does not occur: its derivatives cancel, the divergence being
    zero. B_x and B_y are left alone.
    """
    _predict_normal(
        gamma,
        here[0],
        here[1 + axis],
        here[PRESSURE],
        here[FIELD_X + 1 - axis],
        here[FIELD_Z],
        slope[0],
        slope[1 + axis],
        slope[PRESSURE],
        slope[FIELD_X + 1 - axis],
        slope[FIELD_Z],
        ratio,
        predicted[0],
        predicted[1 + axis],
        predicted[PRESSURE],
    )
    _predict_transverse(
        here[0],
        here[1 + axis],
        here[FIELD_X + axis],
        here[FIELD_Z],
        slope[1 + axis],
        slope[2 - axis],
        slope[3],
        slope[FIELD_X + 1 - axis],
        slope[FIELD_Z],
        ratio,
        predicted[2 - axis],
        predicted[3],
        predicted[FIELD_Z],
    )


@kernel
def _predict_normal(
    gamma, density, normal, pressure, bt, bz, dr, du, dp, dt, dz, ratio, to_r, to_u, to_p
):
    for k in range(density.size):
        r, u = density[k], normal[k]
        to_r[k] -= ratio * (u * dr[k] + r * du[k])
        force = dp[k] + bt[k] * dt[k] + bz[k] * dz[k]
        to_u[k] -= ratio * (u * du[k] + force / r)
        to_p[k] -= ratio * (u * dp[k] + gamma * pressure[k] * du[k])


@kernel
def _predict_transverse(density, normal, bn, bz, du, dv, dw, dt, dz, ratio, to_v, to_w, to_bz):
    for k in range(density.size):
        u, b = normal[k], bn[k]
        tension = b / density[k]
        to_v[k] -= ratio * (u * dv[k] - tension * dt[k])
        to_w[k] -= ratio * (u * dw[k] - tension * dz[k])
        to_bz[k] -= ratio * (u * dz[k] + bz[k] * du[k] - b * dw[k])


@kernel
def flux(gamma, left, right, normal_field, axis, flux):
    """HLLD between states on both sides of faces, whose normal field is one.

    The flux of the transverse one of B_x and B_y goes to its own place; that of the normal one is
    zero and is not set.
    """
    v, b = 2 - axis, FIELD_X + 1 - axis
    _hlld(
        gamma,
        left[0],
        left[1 + axis],
        left[v],
        left[3],
        left[4],
        left[5],
        left[b],
        right[0],
        right[1 + axis],
        right[v],
        right[3],
        right[4],
        right[5],
        right[b],
        normal_field,
        flux[0],
        flux[1 + axis],
        flux[v],
        flux[3],
        flux[4],
        flux[5],
        flux[b],
    )


@kernel
def _hlld(
    gamma,
    rho_l,
    u_l,
    v_l,
    w_l,
    p_l,
    c_l,
    b_l,
    rho_r,
    u_r,
    v_r,
    w_r,
    p_r,
    c_r,
    b_r,
    normal,
    mass,
    normal_momentum,
    v_momentum,
    w_momentum,
    energy,
    c_flux,
    b_flux,
):
    """u is the normal velocity; v, w and b, c are the transverse velocity and field."""
    heat = 1.0 / (gamma - 1.0)
    for k in range(mass.size):
        rl, ul, vl, wl, bl, cl = rho_l[k], u_l[k], v_l[k], w_l[k], b_l[k], c_l[k]
        rr, ur, vr, wr, br, cr = rho_r[k], u_r[k], v_r[k], w_r[k], b_r[k], c_r[k]
        bn = normal[k]
        bb = bn * bn
        tl, tr = bl * bl + cl * cl, br * br + cr * cr
        pl, pr = p_l[k] + 0.5 * (bb + tl), p_r[k] + 0.5 * (bb + tr)  # with that of the field
        gl, gr = gamma * p_l[k], gamma * p_r[k]
        # Twice the square of the fast speed, without a difference of squares
        dl, dr = gl - bb + tl, gr - bb + tr
        fl = (gl + bb + tl + np.sqrt(dl * dl + 4.0 * bb * tl)) / rl
        fr = (gr + bb + tr + np.sqrt(dr * dr + 4.0 * bb * tr)) / rr
        fast = np.sqrt(0.5 * max(fl, fr))
        sl, sr = min(ul, ur) - fast, max(ul, ur) + fast
        ml, mr = rl * (sl - ul), rr * (sr - ur)
        share = 1.0 / (mr - ml)
        sm = (mr * ur - ml * ul + pl - pr) * share
        pressure = (mr * pl - ml * pr + ml * mr * (ur - ul)) * share
        # Behind the fast waves
        nl, nr = 1.0 / (sl - sm), 1.0 / (sr - sm)
        rsl, rsr = ml * nl, mr * nr
        ql, qr = ml * (sl - sm) - bb, mr * (sr - sm) - bb
        ql = 1.0 / ql if ql > DEGENERATE * pressure else 0.0
        qr = 1.0 / qr if qr > DEGENERATE * pressure else 0.0
        al, ar = bn * (ul - sm) * ql, bn * (ur - sm) * qr
        vsl, wsl, vsr, wsr = vl + al * bl, wl + al * cl, vr + ar * br, wr + ar * cr
        al, ar = 1.0 + ml * (sm - ul) * ql, 1.0 + mr * (sm - ur) * qr
        bsl, csl, bsr, csr = al * bl, al * cl, ar * br, ar * cr
        # Between the Alfvén waves
        rootl, rootr = np.sqrt(rsl), np.sqrt(rsr)
        sign = 1.0 if bn >= 0.0 else -1.0
        share = 1.0 / (rootl + rootr)
        both = sign * rootl * rootr
        vss = (rootl * vsl + rootr * vsr + sign * (bsr - bsl)) * share
        wss = (rootl * wsl + rootr * wsr + sign * (csr - csl)) * share
        bss = (rootl * bsr + rootr * bsl + both * (vsr - vsl)) * share
        css = (rootl * csr + rootr * csl + both * (wsr - wsl)) * share
        # The side from which the contact wave comes
        is_left = sm >= 0.0
        r, u = rl if is_left else rr, ul if is_left else ur
        v, w = vl if is_left else vr, wl if is_left else wr
        b, c = bl if is_left else br, cl if is_left else cr
        p, gas = pl if is_left else pr, p_l[k] if is_left else p_r[k]
        rs, root = rsl if is_left else rsr, rootl if is_left else rootr
        vs, ws = vsl if is_left else vsr, wsl if is_left else wsr
        bs, cs = bsl if is_left else bsr, csl if is_left else csr
        s, n = sl if is_left else sr, nl if is_left else nr
        # Zero if the flow is supersonic, and if no Alfven wave has passed the face
        outer = min(sl, 0.0) if is_left else max(sr, 0.0)
        alfven = abs(bn) / root
        inner = min(sm - alfven, 0.0) if is_left else max(sm + alfven, 0.0)
        turn = -sign * root if is_left else sign * root
        e = gas * heat + 0.5 * (r * (u * u + v * v + w * w) + b * b + c * c + bb)
        work, star_work = b * v + c * w, bs * vs + cs * ws
        star_e = ((s - u) * e - p * u + pressure * sm + bn * (bn * (u - sm) + work - star_work)) * n
        turned = turn * (star_work - bss * vss - css * wss)
        m = r * u
        mass[k] = m + outer * (rs - r)
        normal_momentum[k] = m * u + p - bb + outer * (rs * sm - m)
        v_momentum[k] = m * v - bn * b + outer * (rs * vs - r * v) + inner * rs * (vss - vs)
        w_momentum[k] = m * w - bn * c + outer * (rs * ws - r * w) + inner * rs * (wss - ws)
        energy[k] = (e + p) * u - bn * (bn * u + work) + outer * (star_e - e) + inner * turned
        b_flux[k] = u * b - bn * v + outer * (bs - b) + inner * (bss - bs)
        c_flux[k] = u * c - bn * w + outer * (cs - c) + inner * (css - cs)


@kernel
def advance(gamma, here, change, share, energy, new):
    """New cells from old ones and what flows in; B_x and B_y are given.

    Args:
        here: old cells.
        change: of ρ, ρu, ρv, ρw, the total energy, B_z, B_x and B_y.
        share: 1 where the sum of all energies is that with the given field, 0 where it is that
            with the field which the fluxes make.
        energy: scratch row.
        new: new cells, B_x and B_y being given.
    """
    _advance_field(
        here[FIELD_Z],
        here[FIELD_X],
        here[FIELD_X + 1],
        change[FIELD_Z],
        new[FIELD_Z],
        new[FIELD_X],
        new[FIELD_X + 1],
        energy,
    )
    _exchange_field(
        share,
        here[FIELD_X],
        here[FIELD_X + 1],
        change[FIELD_X],
        change[FIELD_X + 1],
        new[FIELD_X],
        new[FIELD_X + 1],
        energy,
    )
    _advance_velocity(
        here[0],
        here[1],
        here[2],
        here[3],
        change[0],
        change[1],
        change[2],
        change[3],
        new[0],
        new[1],
        new[2],
        new[3],
        energy,
    )
    _advance_pressure(gamma, here[PRESSURE], change[PRESSURE], energy, new[PRESSURE])


@kernel
def _advance_field(bz, bx, by, gain, new_z, new_x, new_y, energy):
    """The energy is what the field has lost of it."""
    for k in range(energy.size):
        z = bz[k] + gain[k]
        before = bx[k] * bx[k] + by[k] * by[k] + bz[k] * bz[k]
        energy[k] = 0.5 * (before - new_x[k] * new_x[k] - new_y[k] * new_y[k] - z * z)
        new_z[k] = z


@kernel
def _exchange_field(share, bx, by, gain_x, gain_y, new_x, new_y, energy):
    for k in range(energy.size):
        x, y = bx[k] + gain_x[k], by[k] + gain_y[k]
        excess = new_x[k] * new_x[k] + new_y[k] * new_y[k] - x * x - y * y
        energy[k] += 0.5 * (1.0 - share[k]) * excess


@kernel
def _advance_velocity(density, u, v, w, dr, du, dv, dw, new_r, new_u, new_v, new_w, energy):
    for k in range(energy.size):
        r = density[k]
        reciprocal = 1.0 / (r + dr[k])
        a, b, c = r * u[k] + du[k], r * v[k] + dv[k], r * w[k] + dw[k]
        x, y, z = a * reciprocal, b * reciprocal, c * reciprocal
        before = r * (u[k] * u[k] + v[k] * v[k] + w[k] * w[k])
        energy[k] += 0.5 * (before - a * x - b * y - c * z)
        new_r[k] = r + dr[k]
        new_u[k] = x
        new_v[k] = y
        new_w[k] = z


@kernel
def _advance_pressure(gamma, pressure, gain, energy, new):
    for k in range(energy.size):
        new[k] = pressure[k] + (gamma - 1.0) * (gain[k] + energy[k])


@kernel
def survey(gamma, here, per_length, speed, failures):
    """Raise a row to Σ (|u| + c_fast)/Δx, another by 1 where ρ or p are not positive numbers."""
    _survey(
        gamma,
        here[0],
        here[1],
        here[2],
        here[PRESSURE],
        here[FIELD_Z],
        here[FIELD_X],
        here[FIELD_X + 1],
        per_length[0],
        per_length[1],
        speed,
        failures,
    )


@kernel
def _survey(gamma, density, u, v, pressure, bz, bx, by, per_x, per_y, speed, failures):
    for k in range(speed.size):
        r, p = density[k], pressure[k]
        gas = gamma * p
        xx, yy, zz = bx[k] * bx[k], by[k] * by[k], bz[k] * bz[k]
        sum_x, sum_y = gas - xx + yy + zz, gas - yy + xx + zz
        half, both = 0.5 / r, gas + xx + yy + zz
        fast_x = np.sqrt(half * (both + np.sqrt(sum_x * sum_x + 4.0 * xx * (yy + zz))))
        fast_y = np.sqrt(half * (both + np.sqrt(sum_y * sum_y + 4.0 * yy * (xx + zz))))
        fastest = (abs(u[k]) + fast_x) * per_x + (abs(v[k]) + fast_y) * per_y
        speed[k] = max(speed[k], fastest)
        failures[k] += 0.0 if (r > 0.0) & (p > 0.0) else 1.0
