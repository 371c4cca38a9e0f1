"""How kernels are compiled: one decorator, and a disk cache that cannot go stale.

Numba caches a compiled kernel under the hash of *its own* file. A kernel that calls another one
from a different file keeps running the old callee after that file changes. The cache folder is
therefore named after a hash of all sources of this package, so that any edit starts afresh.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import llvmlite.ir
import numba
from numba.core import cgutils
from numba.extending import intrinsic

#: Everything LLVM may do except assume that there is no NaN: blow-up is detected by NaN.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}


def user_cache_directory() -> Path:
    """Folder for files that can be made again: ``PHYSURROGATE_CACHE`` or the platform's own."""
    if chosen := os.environ.get("PHYSURROGATE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "physurrogate"


@cache
def kernel_cache_directory() -> Path:
    """Folder of the compiled kernels of exactly these sources and this Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return user_cache_directory() / "kernels" / digest.hexdigest()[:16]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a module-level function of arrays and scalars to machine code, cached on disk.

    The kernel releases the GIL, never raises ``ZeroDivisionError`` (a division by zero gives inf,
    which lets loops vectorise) and may reassociate sums.
    """
    with _own_cache():
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FASTMATH)(function)


class Callback:
    """A function of fixed types that is handed to a kernel: ``integrate(SLOPE.compiled, …)``.

    A kernel that takes callbacks is compiled once for all of them, and both are cached on disk;
    a kernel that is an argument itself would be compiled into its caller anew in every process.
    A call through the pointer costs a few nanoseconds more. Compiled at first use, not at import.

    Args:
        function: a module-level function of arrays and scalars.
        signature: its Numba types, such as ``numba.void(numba.float64[::1])``.
    """

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self.function = function
        self.signature = signature

    @cached_property
    def compiled(self) -> Any:
        """What kernels take as an argument."""
        with _own_cache():
            make = numba.cfunc(self.signature, cache=True, error_model="numpy", fastmath=FASTMATH)
            return make(self.function)

    @cached_property
    def address(self) -> int:
        """What kernels take as an argument if they call it through a `caller`."""
        return int(self.compiled.address)


def caller(signature: Any) -> Any:
    """A function for kernels, ``call(address, *arguments)``, of the callbacks of a signature.

    Numba takes 20 µs to unpack a callback that is an argument of a kernel, as long as a short
    integration, and no time for an address. Arrays are lent: without an owner there are no
    references to count, which takes longer than the right-hand side of a small equation.
    """

    @intrinsic
    def call(context, address, *arguments):
        if arguments != signature.args:
            raise numba.TypingError(f"a callback of {signature.args} called with {arguments}")

        def generate(context, builder, call_signature, values):
            result, *kinds = map(context.get_value_type, (signature.return_type, *signature.args))
            pointer = llvmlite.ir.FunctionType(result, kinds).as_pointer()
            arguments = cgutils.unpack_tuple(builder, values[1], len(kinds))
            for i, kind in enumerate(signature.args):
                if isinstance(kind, numba.types.Array):
                    array = context.make_array(kind)(context, builder, arguments[i])
                    array.meminfo = array.parent = cgutils.voidptr_t(None)
                    arguments[i] = array._getvalue()
            builder.call(builder.inttoptr(values[0], pointer), arguments)
            return context.get_dummy_value()

        return numba.void(address, numba.types.StarArgTuple(arguments)), generate

    return call


@contextmanager
def _own_cache() -> Iterator[None]:
    """Numba reads the folder when a decorator runs; other people's caches are left alone."""
    config: Any = numba.config
    others = config.CACHE_DIR
    if not others:
        config.CACHE_DIR = str(kernel_cache_directory())
    try:
        yield
    finally:
        config.CACHE_DIR = others


#: Bits of the control register of x86 that make results and operands below 1e-308 count as zero
FLUSH_TO_ZERO = 0x8040


def _instruction(builder, name, slot):
    """Call the LLVM intrinsic of an instruction that takes the address of a 32-bit word."""
    address = builder.bitcast(slot, llvmlite.ir.IntType(8).as_pointer())
    kind = llvmlite.ir.FunctionType(llvmlite.ir.VoidType(), [address.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [address])


@intrinsic
def _control_register(context):
    """The SSE control and status register (MXCSR) of this thread."""

    def generate(context, builder, signature, arguments):
        slot = builder.alloca(llvmlite.ir.IntType(32))
        _instruction(builder, "llvm.x86.sse.stmxcsr", slot)
        return builder.load(slot)

    return numba.uint32(), generate


@intrinsic
def _set_control_register(context, value):
    def generate(context, builder, signature, arguments):
        slot = builder.alloca(llvmlite.ir.IntType(32))
        builder.store(arguments[0], slot)
        _instruction(builder, "llvm.x86.sse.ldmxcsr", slot)
        return context.get_dummy_value()

    return numba.void(numba.uint32), generate


@kernel
def _exchange_control_register(set_bits, cleared_bits):
    """Set and clear bits; returns what the register was."""
    before = _control_register()  # type: ignore[call-arg, var-annotated]
    _set_control_register(numba.uint32((before | set_bits) & ~cleared_bits))
    return before


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Let this thread take numbers below 1e-308 for zero, on processors that know how (x86)."""
    if platform.machine() not in ("x86_64", "AMD64"):
        yield
        return
    before = _exchange_control_register(FLUSH_TO_ZERO, 0)
    try:
        yield
    finally:
        _exchange_control_register(before & FLUSH_TO_ZERO, ~before & FLUSH_TO_ZERO)
