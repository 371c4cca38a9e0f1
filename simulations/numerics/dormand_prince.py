"""One step of the explicit Runge–Kutta schemes of Dormand and Prince, orders 5 and 8.

The stages are written out: sums of fixed length with constant coefficients, without the many zeros
of the tables, take half the time of loops over tables. Row ``k[j]`` has the rates of stage j, those
at the beginning of the step in ``k[0]``; the last stage is at the new point and is the first of the
next step. ``h`` is the length of the step.

References:
    Dormand, Prince, Journal of Computational and Applied Mathematics 6 (1980) 19: order 5.
    Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I (1993), II.5, II.6 and II.10:
    order 8 (DOP853).
"""

import numba
import numpy as np
from scipy.integrate import DOP853

from simulations.compilation import caller, kernel

#: A right-hand side, ``slope(t, y, parameters, dy)``
SLOPE = numba.void(numba.float64, numba.float64[::1], numba.float64[::1], numba.float64[::1])

call = caller(SLOPE)

# fmt: off


@kernel
def stages_5(slope, t, y, h, parameters, k, new):
    """Stages 1 to 6 and the solution of order 5, whose rates are stage 6."""
    n = y.size
    for i in range(n):
        new[i] = y[i] + h * (1 / 5 * k[0, i])
    call(slope, t + 1 / 5 * h, new, parameters, k[1])
    for i in range(n):
        new[i] = y[i] + h * (3 / 40 * k[0, i] + 9 / 40 * k[1, i])
    call(slope, t + 3 / 10 * h, new, parameters, k[2])
    for i in range(n):
        new[i] = y[i] + h * (44 / 45 * k[0, i] - 56 / 15 * k[1, i] + 32 / 9 * k[2, i])
    call(slope, t + 4 / 5 * h, new, parameters, k[3])
    for i in range(n):
        new[i] = y[i] + h * (
            19372 / 6561 * k[0, i] - 25360 / 2187 * k[1, i] + 64448 / 6561 * k[2, i]
            - 212 / 729 * k[3, i]
        )
    call(slope, t + 8 / 9 * h, new, parameters, k[4])
    for i in range(n):
        new[i] = y[i] + h * (
            9017 / 3168 * k[0, i] - 355 / 33 * k[1, i] + 46732 / 5247 * k[2, i]
            + 49 / 176 * k[3, i] - 5103 / 18656 * k[4, i]
        )
    call(slope, t + h, new, parameters, k[5])
    for i in range(n):
        new[i] = y[i] + h * (
            35 / 384 * k[0, i] + 500 / 1113 * k[2, i] + 125 / 192 * k[3, i] - 2187 / 6784 * k[4, i]
            + 11 / 84 * k[5, i]
        )
    call(slope, t + h, new, parameters, k[6])


@kernel
def error_5(y, new, k, tolerance, floor):
    """Estimated error per length of the step in units of the tolerance, root mean square."""
    n = y.size
    total = 0.0
    for i in range(n):
        scale = tolerance * max(floor, abs(y[i]), abs(new[i]))
        error = (
            71 / 57600 * k[0, i] - 71 / 16695 * k[2, i] + 71 / 1920 * k[3, i]
            - 17253 / 339200 * k[4, i] + 22 / 525 * k[5, i] - 1 / 40 * k[6, i]
        )
        total += (error / scale) ** 2
    return np.sqrt(total / n)


@kernel
def beyond_hermite_5(k, h, coefficients):
    """Coefficient of θ² (1 − θ)², by which quartics with the same ends and slopes differ."""
    for i in range(k.shape[1]):
        coefficients[3, i] = h * (
            -12715105075 / 11282082432 * k[0, i] + 87487479700 / 32700410799 * k[2, i]
            - 10690763975 / 1880347072 * k[3, i] + 701980252875 / 199316789632 * k[4, i]
            - 1453857185 / 822651844 * k[5, i] + 69997945 / 29380423 * k[6, i]
        )


#: Coefficients of order 8: A by stage, of the solution B, their times C, of the error estimates E5
#: and E3, of the interpolant D. Terms that are not written out are zero.
B, C, E5, E3, D = DOP853.B, DOP853.C, DOP853.E5, DOP853.E3, DOP853.D
A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11 = DOP853.A[1:]
A13, A14, A15 = DOP853.A_EXTRA
C13, C14, C15 = DOP853.C_EXTRA


@kernel
def stages_8(slope, t, y, h, parameters, k, new):
    """Stages 1 to 12 and the solution of order 8, whose rates are stage 12."""
    n = y.size
    for i in range(n):
        new[i] = y[i] + h * (A1[0] * k[0, i])
    call(slope, t + C[1] * h, new, parameters, k[1])
    for i in range(n):
        new[i] = y[i] + h * (A2[0] * k[0, i] + A2[1] * k[1, i])
    call(slope, t + C[2] * h, new, parameters, k[2])
    for i in range(n):
        new[i] = y[i] + h * (A3[0] * k[0, i] + A3[2] * k[2, i])
    call(slope, t + C[3] * h, new, parameters, k[3])
    for i in range(n):
        new[i] = y[i] + h * (A4[0] * k[0, i] + A4[2] * k[2, i] + A4[3] * k[3, i])
    call(slope, t + C[4] * h, new, parameters, k[4])
    for i in range(n):
        new[i] = y[i] + h * (A5[0] * k[0, i] + A5[3] * k[3, i] + A5[4] * k[4, i])
    call(slope, t + C[5] * h, new, parameters, k[5])
    for i in range(n):
        new[i] = y[i] + h * (A6[0] * k[0, i] + A6[3] * k[3, i] + A6[4] * k[4, i] + A6[5] * k[5, i])
    call(slope, t + C[6] * h, new, parameters, k[6])
    for i in range(n):
        new[i] = y[i] + h * (
            A7[0] * k[0, i] + A7[3] * k[3, i] + A7[4] * k[4, i] + A7[5] * k[5, i] + A7[6] * k[6, i]
        )
    call(slope, t + C[7] * h, new, parameters, k[7])
    for i in range(n):
        new[i] = y[i] + h * (
            A8[0] * k[0, i] + A8[3] * k[3, i] + A8[4] * k[4, i] + A8[5] * k[5, i] + A8[6] * k[6, i]
            + A8[7] * k[7, i]
        )
    call(slope, t + C[8] * h, new, parameters, k[8])
    for i in range(n):
        new[i] = y[i] + h * (
            A9[0] * k[0, i] + A9[3] * k[3, i] + A9[4] * k[4, i] + A9[5] * k[5, i] + A9[6] * k[6, i]
            + A9[7] * k[7, i] + A9[8] * k[8, i]
        )
    call(slope, t + C[9] * h, new, parameters, k[9])
    for i in range(n):
        new[i] = y[i] + h * (
            A10[0] * k[0, i] + A10[3] * k[3, i] + A10[4] * k[4, i] + A10[5] * k[5, i]
            + A10[6] * k[6, i] + A10[7] * k[7, i] + A10[8] * k[8, i] + A10[9] * k[9, i]
        )
    call(slope, t + C[10] * h, new, parameters, k[10])
    for i in range(n):
        new[i] = y[i] + h * (
            A11[0] * k[0, i] + A11[3] * k[3, i] + A11[4] * k[4, i] + A11[5] * k[5, i]
            + A11[6] * k[6, i] + A11[7] * k[7, i] + A11[8] * k[8, i] + A11[9] * k[9, i]
            + A11[10] * k[10, i]
        )
    call(slope, t + h, new, parameters, k[11])
    for i in range(n):
        new[i] = y[i] + h * (
            B[0] * k[0, i] + B[5] * k[5, i] + B[6] * k[6, i] + B[7] * k[7, i] + B[8] * k[8, i]
            + B[9] * k[9, i] + B[10] * k[10, i] + B[11] * k[11, i]
        )
    call(slope, t + h, new, parameters, k[12])


@kernel
def error_8(y, new, k, tolerance, floor):
    """The same from estimates of orders 5 and 3, which together are of order 7."""
    n = y.size
    total_5, total_3 = 0.0, 0.0
    for i in range(n):
        scale = tolerance * max(floor, abs(y[i]), abs(new[i]))
        error_5 = (
            E5[0] * k[0, i] + E5[5] * k[5, i] + E5[6] * k[6, i] + E5[7] * k[7, i] + E5[8] * k[8, i]
            + E5[9] * k[9, i] + E5[10] * k[10, i] + E5[11] * k[11, i]
        )
        error_3 = (
            E3[0] * k[0, i] + E3[5] * k[5, i] + E3[6] * k[6, i] + E3[7] * k[7, i] + E3[8] * k[8, i]
            + E3[9] * k[9, i] + E3[10] * k[10, i] + E3[11] * k[11, i]
        )
        total_5 += (error_5 / scale) ** 2
        total_3 += (error_3 / scale) ** 2
    if total_5 == 0.0:
        return 0.0
    return total_5 / np.sqrt(n * (total_5 + 0.01 * total_3))


@kernel
def more_stages_8(slope, t, y, h, parameters, k, work):
    """Stages 13 to 15, which serve the interpolant only."""
    n = y.size
    for i in range(n):
        work[i] = y[i] + h * (
            A13[0] * k[0, i] + A13[6] * k[6, i] + A13[7] * k[7, i] + A13[8] * k[8, i]
            + A13[9] * k[9, i] + A13[10] * k[10, i] + A13[11] * k[11, i] + A13[12] * k[12, i]
        )
    call(slope, t + C13 * h, work, parameters, k[13])
    for i in range(n):
        work[i] = y[i] + h * (
            A14[0] * k[0, i] + A14[5] * k[5, i] + A14[6] * k[6, i] + A14[7] * k[7, i]
            + A14[10] * k[10, i] + A14[11] * k[11, i] + A14[12] * k[12, i] + A14[13] * k[13, i]
        )
    call(slope, t + C14 * h, work, parameters, k[14])
    for i in range(n):
        work[i] = y[i] + h * (
            A15[0] * k[0, i] + A15[5] * k[5, i] + A15[6] * k[6, i] + A15[7] * k[7, i]
            + A15[8] * k[8, i] + A15[12] * k[12, i] + A15[13] * k[13, i] + A15[14] * k[14, i]
        )
    call(slope, t + C15 * h, work, parameters, k[15])


@kernel
def beyond_hermite_8(k, h, coefficients):
    """What the interpolant of order 7 has beyond the cubic Hermite polynomial."""
    for row in range(4):
        for i in range(k.shape[1]):
            total = D[row, 0] * k[0, i]
            for j in range(5, 16):
                total += D[row, j] * k[j, i]
            coefficients[3 + row, i] = h * total
