"""A recorded graph as C that needs no library but ``libm``.

The graph is run once on an example, operation by operation. What does not depend on the inputs is a
constant; what shares memory with its argument is a view and costs nothing; for all else a loop
over the elements is written, with the strides that the tensors have. Sizes are those of the
example, so that every number in the code but the inputs is known to the compiler.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

aten = torch.ops.aten

C_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.bool: "uint8_t",
}
#: One element of the result from one of each argument; scalars are arguments too
ELEMENTWISE: dict[Any, str] = {
    aten.abs.default: "fabs({0})",
    aten.acos.default: "acos({0})",
    aten.add.Scalar: "({0} + {1})",
    aten.add.Tensor: "({0} + {1})",
    aten.bitwise_and.Tensor: "({0} & {1})",
    aten.bitwise_not.default: "(!{0})",
    aten.bitwise_or.Tensor: "({0} | {1})",
    aten.clone.default: "{0}",
    aten.cos.default: "cos({0})",
    aten.div.Scalar: "({0} / {1})",
    aten.div.Tensor: "({0} / {1})",
    aten.eq.Scalar: "({0} == {1})",
    aten.erf.default: "erf({0})",
    aten.exp.default: "exp({0})",
    aten.floor.default: "floor({0})",
    aten.ge.Scalar: "({0} >= {1})",
    aten.ge.Tensor: "({0} >= {1})",
    aten.gelu.default: "(0.5 * {0} * (1.0 + erf({0} * 0.70710678118654752)))",
    aten.gt.Scalar: "({0} > {1})",
    aten.gt.Tensor: "({0} > {1})",
    aten.le.Scalar: "({0} <= {1})",
    aten.le.Tensor: "({0} <= {1})",
    aten.log.default: "log({0})",
    aten.log1p.default: "log1p({0})",
    aten.logical_not.default: "(!{0})",
    aten.lt.Scalar: "({0} < {1})",
    aten.lt.Tensor: "({0} < {1})",
    aten.maximum.default: "fmax({0}, {1})",
    aten.minimum.default: "fmin({0}, {1})",
    aten.mul.Scalar: "({0} * {1})",
    aten.mul.Tensor: "({0} * {1})",
    aten.neg.default: "(-{0})",
    aten.pow.Tensor_Scalar: "pow({0}, {1})",
    aten.reciprocal.default: "(1.0 / {0})",
    aten.relu.default: "fmax({0}, 0.0)",
    aten.round.default: "rint({0})",
    aten.rsqrt.default: "(1.0 / sqrt({0}))",
    aten.sigmoid.default: "(1.0 / (1.0 + exp(-{0})))",
    aten.sin.default: "sin({0})",
    aten.sqrt.default: "sqrt({0})",
    aten.sub.Scalar: "({0} - {1})",
    aten.sub.Tensor: "({0} - {1})",
    aten.tanh.default: "tanh({0})",
    aten.where.self: "({0} ? {1} : {2})",
    aten._to_copy.default: "{0}",
}
#: Results whose values depend on sizes alone
FROM_SIZES = {
    aten.full_like.default,
    aten.new_empty.default,
    aten.new_full.default,
    aten.new_zeros.default,
    aten.ones_like.default,
    aten.zeros_like.default,
}
#: Elements in another order, one argument
REORDERING = {
    aten.flip.default,
    aten.gather.default,
    aten.index.Tensor,
    aten.index_select.default,
    aten.repeat.default,
    aten.roll.default,
}
#: Initial value, and how an element joins; a mean is divided at the end
REDUCTIONS: dict[Any, tuple[str, str]] = {
    aten.amax.default: ("-INFINITY", "fmax(a, {0})"),
    aten.mean.dim: ("0.0", "a + {0}"),
    aten.sum.dim_IntList: ("0.0", "a + {0}"),
}
#: What torch can write in terms of the above
DECOMPOSED = [
    aten._softmax.default,
    aten.addmm.default,
    aten.baddbmm.default,
    aten.native_group_norm.default,
    aten.native_layer_norm.default,
    aten.var_mean.correction,
]


def to_c(program: ExportedProgram, example: Sequence[Tensor], function: str) -> tuple[str, int]:
    """The source of a C function, and how many bytes of memory it works in.

        void function(const float *const *in, float *const *out, char *work)

    Arrays are contiguous, ``work`` is aligned to 16 bytes.

    Args:
        program: the graph; one example is all that its sizes have to fit.
        example: its inputs in their order, contiguous float32.
        function: name in C.

    Raises:
        ValueError: an operation of the graph has no C here.
    """
    table = torch._decomp.core_aten_decompositions()
    table.update(torch._decomp.get_decompositions(DECOMPOSED))
    with torch.no_grad():
        program = program.run_decompositions(table)
        writer = _Writer(program.graph_module)
        kinds = [spec.kind for spec in program.graph_signature.input_specs]
        given = iter(example)
        arguments = []
        for kind, spec in zip(kinds, program.graph_signature.input_specs, strict=True):
            if kind is InputKind.USER_INPUT:
                arguments.append(next(given))
                writer.add_input(arguments[-1])
            else:
                known: Any = spec.target
                held = {**program.constants, **program.state_dict}
                arguments.append(held[known].detach())
        results = writer.run(*arguments)
    for position, result in enumerate(results):
        flat = torch.empty(result.shape, dtype=torch.float32)
        writer.know(flat, f"out[{position}]")
        writer.write_elementwise("{0}", flat, [result])
    return writer.source(function), writer.used


class _Writer(fx.Interpreter):
    """Runs a graph and notes the loops that do the same."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.names: dict[int, str] = {}  # by address of memory that depends on the inputs
        self.constants: dict[int, tuple[str, Tensor]] = {}
        self.alive: list[Tensor] = []  # so that no address is used twice
        self.lines: list[str] = []
        self.inputs = 0
        self.used = 0

    def add_input(self, tensor: Tensor) -> None:
        self.know(tensor, f"in[{self.inputs}]")
        self.inputs += 1

    def know(self, tensor: Tensor, expression: str) -> None:
        self.alive.append(tensor)
        self.names[_address(tensor)] = expression

    def depends(self, tensor: Tensor) -> bool:
        return tensor.numel() > 0 and _address(tensor) in self.names

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op != "call_function" or result is None:  # an assertion about types
            return result
        arguments, options = self.fetch_args_kwargs_from_env(n)
        tensors = _tensors((arguments, options))
        self.alive += _tensors(result)
        if not any(map(self.depends, tensors)) or n.target in FROM_SIZES:
            return result
        if isinstance(result, (tuple, list)):  # a split: views
            if all(self.depends(t) or not t.numel() for t in _tensors(result)):
                return result
            raise ValueError(f"{n.target} has no C")
        if not result.numel() or self.depends(result):
            return result
        self.allocate(result)
        self.write(n.target, result, arguments, options)
        return result

    def allocate(self, tensor: Tensor) -> None:
        size = tensor.untyped_storage().nbytes()
        self.know(tensor, f"(({C_TYPES[tensor.dtype]} *)(work + {self.used}))")
        self.used += 16 * math.ceil(size / 16)

    def write(
        self, target: Any, result: Tensor, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        if target in (aten.add.Tensor, aten.sub.Tensor) and options.get("alpha", 1) != 1:
            sign = "+" if target is aten.add.Tensor else "-"
            expression = f"({{0}} {sign} {float(options['alpha'])!r} * {{1}})"
            self.write_elementwise(expression, result, arguments[:2])
        elif target is aten.gelu.default and options.get("approximate", "none") != "none":
            raise ValueError("gelu by its approximation has no C")
        elif target is aten.clamp.default:
            low, high = (*arguments[1:], None, None)[:2]
            low, high = options.get("min", low), options.get("max", high)
            expression = "{0}"
            if low is not None:
                expression = f"fmax({expression}, {float(low)!r})"
            if high is not None:
                expression = f"fmin({expression}, {float(high)!r})"
            self.write_elementwise(expression, result, arguments[:1])
        elif target in ELEMENTWISE:
            count = ELEMENTWISE[target].count("{") and 1 + max(
                int(part[0]) for part in ELEMENTWISE[target].split("{")[1:]
            )
            self.write_elementwise(ELEMENTWISE[target], result, arguments[:count])
        elif target in (aten.mm.default, aten.bmm.default):
            self.write_product(result, arguments[0], arguments[1])
        elif target is aten.cat.default:
            self.write_joined(result, [t for t in arguments[0] if t.numel()], *arguments[1:2])
        elif target in REDUCTIONS:
            self.write_reduction(target, result, *arguments[:2])
        elif target in REORDERING and not any(map(self.depends, _tensors(arguments[1:]))):
            self.write_reordered(target, result, arguments, options)
        else:
            raise ValueError(f"{target} has no C")

    def write_elementwise(self, expression: str, result: Tensor, arguments: Sequence[Any]) -> None:
        elements = []
        for argument in arguments:
            if isinstance(argument, Tensor):
                elements.append(self.element(argument.expand(result.shape)))
            else:
                elements.append(_literal(argument))
        index = self.element(result)
        self.loops(result.shape, [f"{index} = {expression.format(*elements)};"])

    def write_product(self, result: Tensor, left: Tensor, right: Tensor) -> None:
        """``result[…, i, j] = Σ_k left[…, i, k] right[…, k, j]``, the last index inmost."""
        if result.ndim == 2:
            result, left, right = result[None], left[None], right[None]
        batch, rows, columns = result.shape
        inner = left.shape[2]
        kind = C_TYPES[result.dtype]
        out = self.element(result, "bij")
        a, b = self.element(left, "bik"), self.element(right, "bkj")
        outer = [_for("b", batch), _for("i", rows)]
        if right.stride(2) == 1 or columns == 1:
            body = [f"{_for('j', columns)} {out} = 0;"]
            body += [f"{_for('k', inner)} {{ const {kind} a = {a};"]
            body += [f"{_for('j', columns)} {out} += a * {b}; }}"]
        else:
            body = [f"{_for('j', columns)} {{ {kind} a = 0;"]
            body += [f"{_for('k', inner)} a += {a} * {b};", f"{out} = a; }}"]
        self.lines += [" ".join(outer) + " {", *body, "}"]

    def write_joined(self, result: Tensor, parts: Sequence[Tensor], dim: int = 0) -> None:
        start = 0
        for part in parts:
            length = part.shape[dim]
            self.write_elementwise("{0}", result.narrow(dim, start, length), [part])
            start += length

    def write_reduction(self, target: Any, result: Tensor, source: Tensor, dims: Any) -> None:
        dims = sorted(d % source.ndim for d in ([dims] if isinstance(dims, int) else dims))
        kept = [d for d in range(source.ndim) if d not in dims]
        letters = [f"i{d}" for d in range(source.ndim)]
        out = result.reshape([source.shape[d] for d in kept])  # a kept axis of one point goes
        initial, joins = REDUCTIONS[target]
        count = math.prod(source.shape[d] for d in dims)
        value = self.element(source, letters)
        share = f" / {count}.0" if target is aten.mean.dim else ""
        outer = " ".join(_for(letters[d], source.shape[d]) for d in kept)
        inner = " ".join(_for(letters[d], source.shape[d]) for d in dims)
        self.lines += [
            f"{outer} {{ double a = {initial};",
            f"{inner} a = {joins.format(value)};",
            f"{self.element(out, [letters[d] for d in kept])} = a{share}; }}",
        ]

    def write_reordered(
        self, target: Any, result: Tensor, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        source = arguments[0]
        places = torch.arange(source.numel()).reshape(source.shape)
        order = target(places, *arguments[1:], **options).to(torch.int32).contiguous()
        flat = source.contiguous()
        if not self.depends(flat):  # it was not contiguous, and this is a copy
            self.allocate(flat)
            self.write_elementwise("{0}", flat, [source])
        table = self.element(order)
        place = f"{self.base(flat)}[{flat.storage_offset()} + {table}]"
        self.loops(result.shape, [f"{self.element(result)} = {place};"])

    def loops(self, shape: Sequence[int], body: list[str]) -> None:
        heads = [_for(f"i{d}", size) for d, size in enumerate(shape) if size > 1]
        self.lines += [" ".join([*heads, "{"]), *body, "}"]

    def element(self, tensor: Tensor, letters: Sequence[str] | None = None) -> str:
        """The C of one element, at ``i0``, ``i1``, … or the indices that are given."""
        if letters is None:
            letters = [f"i{d}" for d in range(tensor.ndim)]
        terms = [
            f"{letter} * {stride}" if stride != 1 else letter
            for letter, size, stride in zip(letters, tensor.shape, tensor.stride(), strict=True)
            if size > 1 and stride
        ]
        if tensor.storage_offset():
            terms.insert(0, str(tensor.storage_offset()))
        return f"{self.base(tensor)}[{' + '.join(terms) or '0'}]"

    def base(self, tensor: Tensor) -> str:
        address = _address(tensor)
        if address in self.names:
            return self.names[address]
        if address not in self.constants:
            whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
            self.constants[address] = (f"c{len(self.constants)}", whole)
            self.alive.append(tensor)
        return self.constants[address][0]

    def source(self, function: str) -> str:
        parts = ["#include <math.h>", "#include <stdint.h>", ""]
        for name, values in self.constants.values():
            digits = 9 if values.dtype == torch.float32 else 17
            numbers = [_literal(value, digits) for value in values.tolist()]
            parts.append(f"static const {C_TYPES[values.dtype]} {name}[{len(numbers)}] = {{")
            parts += [",".join(numbers[i : i + 12]) + "," for i in range(0, len(numbers), 12)]
            parts.append("};")
        parts.append(f"void {function}(const float *const *in, float *const *out, char *work) {{")
        return "\n".join([*parts, "(void)in; (void)work;", *self.lines, "}", ""])


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    fx.node.map_aggregate(value, lambda v: found.append(v) if isinstance(v, Tensor) else None)
    return found


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _for(index: str, size: int) -> str:
    return f"for (int {index} = 0; {index} < {size}; {index}++)"


def _literal(value: float, digits: int = 17) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    if math.isnan(value):
        return "NAN"
    text = f"{value:.{digits}g}"
    return text if "." in text or "e" in text else f"{text}.0"
