"""How an operation is declared and called.

    @primitive
    def tanh(xp, x):
        return xp.tanh(x)

    tanh.vjp(x=lambda g, out: g * (1 - out * out))

The forward works on arrays; `xp` is numpy or cupy, whichever the arrays belong to. The rule gives
the vector-Jacobian product for one input: the gradient of the loss with respect to x, from g, the
gradient with respect to the output. **The names of a rule's parameters say what is saved** for it:
an input, `out`, `x_shape`, an option. Rules are written in operators and ops only. An op that meets
no Tensor is its own forward, so the same rule runs on bare arrays in an ordinary backward, and on
Tensors, leaving a graph of its own, under `create_graph=True`: derivatives of any order come free.
"""

import re
import types

import numpy

from . import autocasting, dtypes
from .backend import array_module, as_array, device_of, native_device, out_of_memory, to_device
from .engine import Node, Released, enable_grad, knot, run_backward, state

REGISTRY: dict[str, "Op"] = {}


class Variable:
    """What the engine knows of a Tensor: an array, and the place in the graph that made it.

    array               the numbers
    _node, _index       the Node that made it and which of its outputs it is; None for a leaf
    _requires_grad      whether gradients flow to it
    _version            [n], one list per memory, shared by views: n counts in-place changes
    _base, _view        for a view: the tensor that owns the memory, and the ops that lead there
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_base",
        "_index",
        "_node",
        "_requires_grad",
        "_version",
        "array",
    )


_tensor_type = Variable  # becomes Tensor at the foot of tensor.py
_new = object.__new__


def wrap(array):
    """A Tensor around an array: no copy, no graph."""
    tensor = _new(_tensor_type)
    tensor.array = array
    tensor._node = None
    tensor._index = 0
    tensor._requires_grad = False
    tensor._version = [0]
    tensor._base = None
    return tensor


def primitive(forward=None, *, name=None, cast=None, view=False):
    """Declare an operation: a decorator for its forward, `forward(xp, x, ..., *, option=...)`.

    name: what grad_fn prints, if not the function's own name in camel case.
    cast: None, or "promote" (inputs come to torch's common dtype), or "float" (and integers then
    to the default floating dtype).
    view: the output may share memory with the first input.
    """
    if forward is None:
        return lambda function: Op(function, name, cast, view)
    return Op(forward, name, cast, view)


required = object()  # the default of an option that has none


def parameters_of(function):
    """(names of positional parameters, of keyword-only ones, of the *starred one or None).

    What inspect.signature would say, read off the code object at a hundredth of the time.
    """
    code = function.__code__
    names = code.co_varnames
    count, options = code.co_argcount, code.co_kwonlyargcount
    star = names[count + options] if code.co_flags & 0x04 else None
    return list(names[:count]), list(names[count : count + options]), star


class Op:
    """One operation: its forward, its rules, its samples."""

    def __init__(self, forward, name, cast, view):
        self.forward = forward
        self.name = forward.__name__
        self.__name__ = self.__qualname__ = self.name
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self.display = name or "".join(part.title() for part in self.name.split("_"))
        self.cast = {None: None, "promote": _promote, "float": _promote_to_float}[cast]
        self.view = view
        positional, options, star = parameters_of(forward)
        self.variadic = star is not None
        self.inputs = positional[1:] + ([star] if self.variadic else [])
        given = forward.__kwdefaults__ or {}
        self.defaults = {name: given.get(name, required) for name in options}
        self.arity = None if self.variadic else len(self.inputs)
        self.rules = {}
        self.joint = None
        self.composite = None
        self.outputs = None
        self.saved_outputs = None
        self.plans = {}
        self.make_samples = None
        self.make_errors = None
        self.non_differentiable_reason = None
        if self.name in REGISTRY:
            raise ValueError(f"primitive: two ops are called {self.name}")
        REGISTRY[self.name] = self

    def __repr__(self):
        return f"<op {self.name}>"

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    # -- declaration -------------------------------------------------------------------------

    def vjp(self, **rules):
        """Give the gradient rule of each differentiable input, by the input's name."""
        for input_name, rule in rules.items():
            if input_name not in self.inputs:
                raise TypeError(f"{self.name}.vjp: there is no input called {input_name}")
            needs = parameters_of(rule)[0][1:]
            for need in needs:
                self._source(need)  # a wrong name is an error now, not during training
            self.rules[input_name] = (rule, needs)
        self.plans.clear()

    def fused(self, rule, composite, outputs=None, saved=None):
        """Give one rule for all inputs together, and the same function in plain ops.

        rule(g, out, wanted, *inputs, **options) -> a gradient per input, arrays; `wanted` says which
        are needed, the others may be None. composite(*inputs, **options) is differentiated instead
        where there is no rule, and wherever the gradient itself is to have a gradient; and it is what
        the op is tested against.
        outputs: how many of the outputs carry gradients; those after them only help the rule.
        saved: which outputs the rule looks at, by number, and so may not be changed in place; the
        others are None in `out`. All of them, if it isn't said.
        """
        self.joint, self.composite, self.outputs = rule, composite, outputs
        self.saved_outputs = () if rule is None else saved
        self.rules = dict.fromkeys(self.inputs[: self.arity])
        self.plans.clear()

    def samples(self, make):
        """`make(rand)` gives a list of arguments to check the op on; a final dict = options."""
        self.make_samples = make

    def errors(self, make):
        """`make(rand)` gives a list of (arguments, exception type, regular expression)."""
        self.make_errors = make

    def _source(self, need):
        """Where the value that a rule's parameter names comes from, as (kind, which)."""
        if need == "out":
            return "out", None
        if need in self.inputs:
            return "input", self.inputs.index(need)
        if need in self.defaults:
            return "option", need
        stem, _, suffix = need.rpartition("_")
        if suffix in ("shape", "shapes", "dtype") and stem in self.inputs:
            return suffix, self.inputs.index(stem)
        if re.fullmatch(r"out\d", need):
            return "output", int(need[3:])
        raise TypeError(
            f"{self.name}.vjp: a rule asks for {need!r}, which is neither g, out, an input "
            f"({', '.join(self.inputs)}), its _shape or _dtype, nor an option "
            f"({', '.join(self.defaults) or 'there are none'})"
        )

    # -- the call ----------------------------------------------------------------------------

    def __call__(self, *inputs, **options):
        if len(inputs) != self.arity and not self.variadic or "out" in options:
            return self._call_by_name(inputs, options)
        arrays = []
        mask = 0
        bit = 1
        plain = True
        for x in inputs:
            if isinstance(x, Variable):
                plain = False
                if x._base is not None:
                    x._refresh()
                if x._requires_grad:
                    mask |= bit
                x = x.array
            arrays.append(x)
            bit += bit
        xp = array_module(*arrays)
        if xp is not numpy:
            settled = self._on_one_device(xp, inputs, arrays, options)
            if settled is not None:
                with native_device(settled[1]):
                    return self(*settled[0], **options)
        if plain:
            return self.forward(xp, *arrays, **options)
        if autocasting.regions:
            arrays = autocasting.inputs(self.name, inputs, arrays, xp)
        if self.cast is not None:
            arrays = self.cast(self, xp, arrays)
        try:
            out = self.forward(xp, *arrays, **options)
        except ValueError as error:
            raise self._explain(arrays, error) from error
        except MemoryError as error:
            raise out_of_memory(self.name, error) from error
        plan = None
        if mask and state.grad:
            plan = self.plans.get(mask) or self._plan(mask, len(inputs))
        if type(out) is tuple:
            return self._finish_many(inputs, arrays, options, out, plan, xp)
        if type(out) is not numpy.ndarray:
            out = numpy.asarray(out) if isinstance(out, numpy.generic) else as_array(out, xp)
        result = wrap(out)
        if self.view:
            self._mark_view(result, inputs[0], options, xp)
        if plan is not None and plan.steps and out.dtype.kind in "fV":
            result._requires_grad = True
            result._node = self._record(
                plan, inputs, arrays, options, out, (result._version,), ((out.shape, out.dtype),)
            )
        return result

    def _finish_many(self, inputs, arrays, options, outs, plan, xp):
        """Wrap the outputs of an op that has several."""
        outs = tuple(as_array(out, xp) for out in outs)
        results = tuple(wrap(out) for out in outs)
        if self.view:
            for i, result in enumerate(results):
                self._mark_view(result, inputs[0], options, xp, i)
        if plan is not None and plan.steps:
            node = self._record(
                plan,
                inputs,
                arrays,
                options,
                outs,
                tuple(result._version for result in results),
                tuple((out.shape, out.dtype) for out in outs),
            )
            for i, result in enumerate(results[: self.outputs]):
                if result.array.dtype.kind in "fV":
                    result._requires_grad = True
                    result._node = node
                    result._index = i
        return results

    def _on_one_device(self, xp, inputs, arrays, options):
        """For arrays of which some are on a GPU: None if all are on the one in use.

        Else (the inputs, the arrays) to call the op with while theirs is the GPU in use; a 0-d tensor
        in main memory goes along to the others, as in torch. RuntimeError for other mixtures.
        """
        place = None
        strangers = []
        names = self.inputs + self.inputs[-1:] * len(arrays)
        held = [*zip(names, arrays, strict=False), *options.items()]
        for i, (name, x) in enumerate(held):
            if isinstance(x, xp.ndarray):
                if place is None:
                    place, first = x.device.id, (name, x)
                elif x.device.id != place:
                    raise self._mixed(first, (name, x))
            elif isinstance(x, numpy.ndarray):
                strangers.append((i, name, x))
        for i, name, x in strangers:
            if x.ndim or i >= len(arrays):
                raise self._mixed(first, (name, x))
        if not strangers and place == xp.cuda.runtime.getDevice():
            return None
        inputs = list(inputs)
        for i, _, x in strangers:
            there = device_of(first[1])
            mine = inputs[i]
            inputs[i] = mine.to(there) if isinstance(mine, Variable) else to_device(x, there)
        return inputs, first[1]

    def _mixed(self, one, other):
        """The error for arrays of two devices."""
        shown = [f"{device_of(x)} ({name}, shape {tuple(x.shape)})" for name, x in (one, other)]
        return RuntimeError(
            f"{self.name}: Expected all tensors to be on the same device, but found at least two "
            f"devices, {shown[0]} and {shown[1]}! Move one with .to(device)."
        )

    def _mark_view(self, result, x, options, xp, index=None):
        """Let a result that shares memory with its input share its version counter too."""
        if not isinstance(x, Variable) or not xp.may_share_memory(result.array, x.array):
            return
        result._version = x._version
        result._base = x if x._base is None else x._base
        result._view = (*getattr(x, "_view", ()), (self, options, index))
        result._seen = x._version[0]

    def record(self, inputs, options, out):
        """The node for a result that was computed elsewhere; None if no gradient is needed."""
        mask = 0
        for i, x in enumerate(inputs):
            if isinstance(x, Variable):
                if x._base is not None:
                    x._refresh()
                if x._requires_grad:
                    mask |= 1 << i
        if not mask or not state.grad:
            return None
        arrays = [x.array if isinstance(x, Variable) else x for x in inputs]
        plan = self.plans.get(mask) or self._plan(mask, len(inputs))
        return self._record(
            plan,
            inputs,
            arrays,
            options,
            out.array,
            (out._version,),
            ((out.shape, out.array.dtype),),
        )

    def _record(self, plan, inputs, arrays, options, out, out_versions, outputs):
        saved = []
        versions = []
        for kind, which in plan.sources:
            counter = None
            if kind == "input":
                value = arrays[which]
                x = inputs[which]
                if isinstance(x, Variable) and value is x.array:
                    counter = x._version
            elif kind == "out":
                value = out
                counter = out_versions[0]
            elif kind == "option":
                value = options[which] if which in options else self.defaults[which]
            elif kind == "shape":
                value = getattr(arrays[which], "shape", ())
            elif kind == "dtype":
                value = arrays[which].dtype
            elif kind == "output":
                value = out[which]
                counter = out_versions[which]
            elif kind == "some":  # outputs of which a rule reads only some
                value = [out[k] if k in which else None for k in range(len(out))] if which else None
            elif kind == "shapes":
                value = [x.shape for x in arrays[which:]]
            else:  # "inputs": the arrays of a variadic op
                value = arrays[which:]
            saved.append(value)
            versions.append(None if counter is None else (counter, counter[0]))
        edges = []
        for i in plan.tracked:
            x = inputs[i]
            node = x._node
            array = x.array
            if node is None:
                edges.append((x, 0, array.shape, array.dtype))
            else:
                edges.append((node, x._index, array.shape, array.dtype))
        return OpNode(self, plan, saved, versions, edges, outputs)

    def _plan(self, mask, count):
        """Which rules run, what they need and which inputs they serve, for one set of inputs."""
        tracked = tuple(i for i in range(count) if mask >> i & 1)
        self.plans[mask] = plan = Plan(self, tracked)
        return plan

    def _call_by_name(self, inputs, options):
        """The slow path: inputs given by keyword (torch's `input=`, `other=` too), and `out=`."""
        options = dict(options)
        target = options.pop("out", None)
        aliases = dict(zip(("input", "other"), self.inputs, strict=False))
        inputs = list(inputs)
        for parameter in self.inputs[len(inputs) :]:
            for given in (parameter, *(a for a, p in aliases.items() if p == parameter)):
                if given in options:
                    inputs.append(options.pop(given))
                    break
        if self.arity is not None and len(inputs) != self.arity:
            raise TypeError(
                f"{self.name}() takes {self.arity} inputs ({', '.join(self.inputs)}) "
                f"but {len(inputs)} were given"
            )
        result = self(*inputs, **options)
        return result if target is None else target._assign_out(result, self.name)

    def _explain(self, arrays, error):
        """NumPy's error about shapes, as torch's error with the op's name before it."""
        shapes = [x.shape for x in arrays if hasattr(x, "shape")]
        shown = " and ".join(str(tuple(shape)) for shape in shapes)
        if self.cast is not None and len(shapes) == 2:
            a, b = shapes
            longest = max(len(a), len(b))
            a = (1,) * (longest - len(a)) + tuple(a)
            b = (1,) * (longest - len(b)) + tuple(b)
            for dim in reversed(range(longest)):
                if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
                    return RuntimeError(
                        f"{self.name}: The size of tensor a ({a[dim]}) must match the size of "
                        f"tensor b ({b[dim]}) at non-singleton dimension {dim}; "
                        f"got shapes {shown}"
                    )
        return RuntimeError(f"{self.name}: {error}; got shapes {shown or 'none'}")


class Plan:
    """For one op and one set of inputs that need gradients: what to save, which rules to run.

    sources     what to save, as (kind, which), each once
    steps       (rule, positions of its arguments among the saved values), one per rule to run
    tracked     the positions of the inputs that need gradients, one edge each
    """

    __slots__ = ("edge_of", "sources", "steps", "tracked", "variadic")

    def __init__(self, op, tracked):
        self.variadic = op.variadic
        self.sources = sources = []
        self.steps = []
        fixed = len(op.inputs) - 1 if op.variadic else len(op.inputs)
        # an input without a rule gets no gradient, so its edge is left out
        self.tracked = tuple(
            i for i in tracked if op.inputs[min(i, len(op.inputs) - 1)] in op.rules
        )
        self.edge_of = {i: k for k, i in enumerate(self.tracked)}
        if op.composite is not None:
            if op.saved_outputs is None:
                sources.append(("out", None))
            else:
                sources.append(("some", op.saved_outputs))
            sources.extend(("input", i) for i in range(len(op.inputs)))
            sources.extend(("option", name) for name in op.defaults)
            self.steps.append(op.composite)
            return
        names = []
        for i in self.tracked:
            name = op.inputs[min(i, len(op.inputs) - 1)]
            if name in names:
                continue
            names.append(name)
            rule, needs = op.rules[name]
            positions = []
            for need in needs:
                kind, which = op._source(need)
                if kind == "input" and op.variadic and which == fixed:
                    kind = "inputs"
                if (kind, which) not in sources:
                    sources.append((kind, which))
                positions.append(sources.index((kind, which)))
            self.steps.append((rule, tuple(positions), i < fixed))


class OpNode(Node):
    """The node that a primitive leaves."""

    __slots__ = ("op", "plan", "saved", "versions")

    def __init__(self, op, plan, saved, versions, edges, outputs):
        Node.__init__(self, edges, outputs)
        self.op = op
        self.plan = plan
        self.saved = saved
        self.versions = versions

    def name(self) -> str:
        return f"{self.op.display}Backward0"

    def release(self):
        if self.saved:
            self.saved = Released

    def backward(self, grads, create_graph, wanted):
        plan = self.plan
        saved = self._unpack(create_graph)
        if len(grads) == 1:
            g = grads[0]
        else:
            which = range(len(grads))[: self.op.outputs]
            g = tuple(self._zeros(i, grads, create_graph) for i in which)
        if self.op.composite is not None:
            return self._backward_together(g, saved, create_graph, wanted)
        results = []
        for (rule, positions, fixed), edge in zip(plan.steps, self.edges, strict=False):
            if not fixed:
                every = rule(g, *[saved[k] for k in positions])
                first = len(self.op.inputs) - 1
                results.extend(every[i - first] for i in plan.tracked if i >= first)
            elif wanted is not None and _unwanted(edge, wanted):
                results.append(None)
            else:
                results.append(rule(g, *[saved[k] for k in positions]))
        return results

    def _backward_together(self, g, saved, create_graph, wanted):
        """By the rule for all inputs; or, to be differentiable, through the composite."""
        op, plan = self.op, self.plan
        count = len(op.inputs)
        inputs, options = (
            saved[1 : 1 + count],
            dict(zip(op.defaults, saved[1 + count :], strict=True)),
        )
        needed = [False] * count
        for i, edge in zip(plan.tracked, self.edges, strict=True):
            needed[i] = wanted is None or not _unwanted(edge, wanted)
        if op.joint is not None and not create_graph:
            every = op.joint(g, saved[0], needed, *inputs, **options)
            return [every[i] for i in plan.tracked]
        asked = [i for i in plan.tracked if needed[i]]
        with enable_grad():
            for i in asked:  # a place of its own for each, for one tensor may be two inputs
                if create_graph:
                    inputs[i] = knot.cast(inputs[i], dtype=inputs[i].array.dtype)
                else:
                    inputs[i] = wrap(inputs[i])
                    inputs[i]._requires_grad = True
            out = op.composite(*inputs, **options)
        outs, seeds = (out[: op.outputs], g) if type(out) is tuple else ((out,), (g,))
        recorded = [k for k, one in enumerate(outs) if one._requires_grad]
        found = run_backward(
            [outs[k] for k in recorded],
            [seeds[k] for k in recorded],
            create_graph=create_graph,
            retain_graph=create_graph,
            inputs=[inputs[i] for i in asked],
            accumulate=False,
        )
        found = dict(zip(asked, found, strict=True))
        return [found.get(i) for i in plan.tracked]

    def _zeros(self, i, grads, create_graph):
        if grads[i] is not None:
            return grads[i]
        shape, dtype = self.outputs[i]
        like = next(x for x in grads if x is not None)
        zeros = array_module(getattr(like, "array", like)).zeros(shape, dtype)
        return wrap(zeros) if create_graph else zeros

    def _unpack(self, create_graph):
        saved = self.saved
        if saved is Released:
            raise RuntimeError(
                f"Trying to backward through the graph a second time: what {self.op.name} saved "
                "was freed by the first backward(). Call backward(retain_graph=True) the first "
                "time; or, if an RNN's state from the last batch leads here, cut it off with "
                "state.detach()."
            )
        for value, version in zip(saved, self.versions, strict=True):
            if version is not None and version[0][0] != version[1]:
                self._changed(value, version)
        if not create_graph:
            return saved
        return [
            self._as_tensor(source, value)
            for source, value in zip(self.plan.sources, saved, strict=True)
        ]

    def _as_tensor(self, source, value):
        """A saved array as a Tensor with its place in the graph, for a backward that records."""
        kind, which = source
        if kind == "input":
            return self._input_tensor(which, value)
        if kind == "inputs":
            return [self._input_tensor(which + k, array) for k, array in enumerate(value)]
        if kind == "out" and type(value) is tuple:
            return tuple(self._output_tensor(i, array) for i, array in enumerate(value))
        if kind == "out":
            return self._output_tensor(0, value)
        if kind == "output":
            return self._output_tensor(which, value)
        return value

    def _input_tensor(self, position, array):
        if not hasattr(array, "dtype"):
            return array  # a Python number
        edge_index = self.plan.edge_of.get(position)
        if edge_index is None:
            return wrap(array)
        target, index, shape, dtype = self.edges[edge_index]
        if not isinstance(target, Node) and target.array is array:
            return target
        if isinstance(target, Node) and array.shape != shape:
            raise RuntimeError(f"{self.op.name}: a saved input changed its shape")
        if not isinstance(target, Node) or array.dtype != dtype:
            target, index = CastNode((target, index, shape, dtype), array), 0
        tensor = wrap(array)
        tensor._requires_grad = True
        tensor._node = target
        tensor._index = index
        return tensor

    def _output_tensor(self, index, array):
        tensor = wrap(array)
        if array.dtype.kind in "fV":
            tensor._requires_grad = True
            tensor._node = self
            tensor._index = index
        return tensor

    def _changed(self, value, version):
        shape = tuple(getattr(value, "shape", ()))
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.op.name} saved a tensor of shape {shape} at version {version[1]}, "
            f"but it is at version {version[0][0]} now. Change a copy instead: x = x.clone() "
            "before the in-place operation, or use the out-of-place one (x = x + y for x += y)."
        )


class CastNode(Node):
    """Leads from a saved copy of an input in another dtype back to where the input came from."""

    __slots__ = ()

    def __init__(self, edge, array):
        Node.__init__(self, [edge], ((array.shape, array.dtype),))

    def name(self):
        return "ToCopyBackward0"

    def backward(self, grads, create_graph, wanted):
        return grads


def _unwanted(edge, wanted):
    """True if no wanted place can be reached along this edge."""
    return edge[0] not in wanted and (edge[0], edge[1]) not in wanted


def _promote(op, xp, arrays):
    """Bring the inputs to torch's common dtype; numbers stay numbers, which NumPy takes as weak."""
    first = None
    for x in arrays:
        if type(x) is float:
            if first is not None and first.kind in "fV":
                continue
        elif type(x) is int:
            if first is not None and first.kind != "b":
                continue
        elif isinstance(x, xp.ndarray):
            if first is None:
                first = x.dtype
                continue
            if x.dtype == first:
                continue
        break
    else:
        return arrays
    return _convert(op, xp, arrays, None)


def _promote_to_float(op, xp, arrays):
    """As `_promote`; if integers or bools are all there is, they become the default dtype."""
    for x in arrays:
        if isinstance(x, xp.ndarray):
            if x.dtype.kind in "fV":
                return _promote(op, xp, arrays)
            break
    return _convert(op, xp, arrays, dtypes.default_numpy())


def _convert(op, xp, arrays, floating):
    arrays = [_as_operand(op, xp, x) for x in arrays]
    dtype = dtypes.common(arrays)
    if floating is not None and dtypes.kind_of(dtype) != 2:
        dtype = floating
    converted = [
        x if not isinstance(x, xp.ndarray) or x.dtype == dtype else x.astype(dtype) for x in arrays
    ]
    if not any(isinstance(x, xp.ndarray) for x in converted):
        converted = [xp.asarray(x, dtype) for x in converted]
    return converted


def _as_operand(op, xp, x):
    """Tell what may stand beside a tensor: arrays of the same module and numbers."""
    if isinstance(x, (xp.ndarray, bool, int, float)):
        return x
    if isinstance(x, numpy.generic):
        return x.item()
    raise TypeError(f"{op.name}(): argument must be Tensor or Number, not {type(x).__name__}")


def tie(tensor_type):
    """Tell the ops what a Tensor is; called once, at the foot of tensor.py."""
    global _tensor_type
    _tensor_type = tensor_type


__all__ = ["REGISTRY", "Node", "Op", "Variable", "primitive", "wrap"]
