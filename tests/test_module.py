"""Module: registration, the tree, state_dict, hooks, modes, printing; containers; errors' paths."""

import copy
import inspect
import pickle
import re
import warnings
from collections import OrderedDict

import pytest

import minigrad
from minigrad import nn


class Net(nn.Module):
    """Two layers, a shared parameter and two buffers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.blocks = nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Linear(4, 4)) for _ in range(2)])
        self.scale = nn.Parameter(minigrad.ones(4))
        self.also = self.scale
        self.register_buffer("mean", minigrad.zeros(4))
        self.register_buffer("scratch", minigrad.zeros(2), persistent=False)

    def forward(self, x):
        x = self.first(x) * self.scale
        for block in self.blocks:
            x = block(x)
        return x


KEYS = [
    "scale",
    "also",
    "mean",
    "first.weight",
    "first.bias",
    "blocks.0.1.weight",
    "blocks.0.1.bias",
    "blocks.1.1.weight",
    "blocks.1.1.bias",
]


# -- registration ----------------------------------------------------------------------------------


def test_assignment_registers():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        k for k in KEYS if k not in ("also", "mean")
    ]
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    assert [name for name, _ in net.named_children()] == ["first", "blocks"]
    assert net.first is net._modules["first"]
    net.first = None
    assert net.first is None and "first" in net._modules
    net.scale = None
    assert net._parameters["scale"] is None
    assert "scale" not in dict(net.named_parameters())
    net.first = nn.Linear(2, 2)
    net.extra = 5
    net.extra = nn.Parameter(minigrad.zeros(1))
    assert "extra" in net._parameters and "extra" not in net.__dict__
    net.extra2 = nn.Buffer(minigrad.zeros(1), persistent=False)
    assert "extra2" in net._buffers and "extra2" not in net.state_dict()
    del net.extra
    assert not hasattr(net, "extra")


def assign_before_init(value):
    class Early(nn.Module):
        def __init__(self):
            self.value = value()
            super().__init__()

    return Early


def bad_parameter_name(name):
    return lambda net: net.register_parameter(name, nn.Parameter(minigrad.zeros(1)))


REGISTRATION_ERRORS = [
    (
        lambda net: assign_before_init(lambda: nn.Parameter(minigrad.zeros(1)))(),
        AttributeError,
        r"cannot assign parameters before Module.__init__\(\) call",
    ),
    (
        lambda net: assign_before_init(lambda: nn.Linear(1, 1))(),
        AttributeError,
        r"cannot assign module before Module.__init__\(\) call",
    ),
    (
        lambda net: setattr(net, "scale", minigrad.zeros(4)),
        TypeError,
        r"cannot assign 'torch.(cuda.)?FloatTensor' as parameter 'scale' \(torch.nn.Parameter or None expe",
    ),
    (lambda net: setattr(net, "first", 3), TypeError, r"cannot assign 'int' as child module 'firs"),
    (lambda net: setattr(net, "mean", "no"), TypeError, r"cannot assign 'str' as buffer 'mean'"),
    (bad_parameter_name("a.b"), KeyError, "parameter name can.*t contain"),
    (bad_parameter_name(""), KeyError, "can.*t be empty string"),
    (bad_parameter_name("forward"), KeyError, r"attribute 'forward' already exists"),
    (bad_parameter_name(5), TypeError, r"parameter name should be a string. Got int"),
    (lambda net: net.register_buffer("b", [1]), TypeError, r"cannot assign 'list' object to buffe"),
    (lambda net: net.register_buffer("first", None), KeyError, r"attribute 'first' already exists"),
    (lambda net: net.add_module("m", 3), TypeError, r"is not a Module subclass"),
    (lambda net: net.add_module("a.b", nn.ReLU()), KeyError, "module name can.*t contain"),
    (
        lambda net: net.register_parameter("p", minigrad.zeros(1)),
        TypeError,
        r"object to parameter 'p' \(torch.nn.Parameter or None required\)",
    ),
    (lambda net: net.nothing, AttributeError, r"'Net' object has no attribute 'nothing'"),
    (lambda net: nn.Module()(1), NotImplementedError, r"missing the required \"forward\" function"),
    (lambda net: nn.Module(3), TypeError, r"takes 1 positional argument but 2 were given"),
    (lambda net: nn.Module(a=3), TypeError, r"unexpected keyword argument 'a'"),
    (lambda net: net.train("yes"), ValueError, r"training mode is expected to be boolean"),
    (lambda net: net.get_submodule("first.x"), AttributeError, r"Linear has no attribute `x`"),
    (lambda net: net.get_submodule("scale"), AttributeError, r"`scale` is not an nn.Module"),
    (lambda net: net.get_parameter("mean"), AttributeError, r"`mean` is not an nn.Parameter"),
    (lambda net: net.get_buffer("scale"), AttributeError, r"`scale` is not a buffer"),
    (lambda net: net.to(minigrad.int64), TypeError, r"only accepts floating point"),
]


@pytest.mark.parametrize("number", range(len(REGISTRATION_ERRORS)))
def test_registration_errors(number):
    action, error, match = REGISTRATION_ERRORS[number]
    with pytest.raises(error, match=match):
        action(Net())


def test_messages_are_torch_s():
    torch = pytest.importorskip("torch")

    def message(lib, action):
        net = lib.nn.Linear(2, 2)
        with pytest.raises(Exception) as caught:
            action(lib, net)
        return caught.type, str(caught.value)

    for action in (
        lambda lib, net: setattr(net, "weight", lib.zeros(2)),
        lambda lib, net: setattr(net, "weight", 3),
        lambda lib, net: net.register_parameter("bias.x", None),
        lambda lib, net: net.register_parameter("extra_repr", None),
        lambda lib, net: net.register_buffer("b", 3),
        lambda lib, net: net.add_module("a.b", None),
        lambda lib, net: net.wrong,
        lambda lib, net: net.get_submodule("x"),
        lambda lib, net: net.get_parameter("x"),
        lambda lib, net: net.load_state_dict([]),
        lambda lib, net: net.load_state_dict({"weight": lib.zeros(3, 2), "more": lib.zeros(1)}),
        lambda lib, net: net.load_state_dict({"weight": 3, "bias": lib.zeros(2)}),
        lambda lib, net: net.load_state_dict({}),
        lambda lib, net: lib.nn.Sequential()[0],
        lambda lib, net: lib.nn.ModuleList([net])[1],
    ):
        kind, text = message(minigrad, action)
        kind_t, text_t = message(torch, action)
        assert kind is kind_t
        assert re.sub(r"minigrad\.(cuda\.)?|torch\.cuda\.", "torch.", text) == text_t


def test_non_leaf_parameter():
    class Half(nn.Parameter):
        grad_fn = "MulBackward0"

    with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'w'"):
        nn.Module().register_parameter("w", Half(minigrad.zeros(1)))


def test_plain_list_warns():
    net = Net()
    with pytest.warns(UserWarning, match="Net.hidden is a plain list .* use nn.ModuleList"):
        net.hidden = [nn.ReLU(), nn.ReLU()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fine = [net.first, net.blocks]  # registered elsewhere
        net.numbers = [1, 2]
        net.hidden = (nn.ReLU(), nn.ReLU())


# -- parameters ------------------------------------------------------------------------------------


def test_parameter():
    data = minigrad.randn(2, 3)
    p = nn.Parameter(data)
    assert p.requires_grad and p.is_leaf and isinstance(p, minigrad.Tensor)
    assert p.data_ptr() == data.data_ptr()
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    text = "Parameter containing:\n" + repr(data)[:-1] + ", requires_grad=True)"
    assert repr(p).split() == text.split()  # a line may be broken elsewhere
    assert type(p * 2) is minigrad.Tensor and type(p.detach()) is minigrad.Tensor
    copied = copy.deepcopy(p)
    assert type(copied) is nn.Parameter and copied.requires_grad
    assert copied.data_ptr() != p.data_ptr() and bool((copied == p).all())
    again = pickle.loads(pickle.dumps(p))
    assert type(again) is nn.Parameter and bool((again == p).all())
    with pytest.raises(TypeError, match="expected a Tensor, got list"):
        nn.Parameter([1.0])
    p.note = "users may add attributes"
    assert nn.Parameter().shape == (0,)


# -- the tree --------------------------------------------------------------------------------------


def test_named_modules_and_sharing():
    net = Net()
    names = [name for name, _ in net.named_modules()]
    assert names == ["", "first", "blocks", "blocks.0", "blocks.0.0", "blocks.0.1", "blocks.1"] + [
        "blocks.1.0",
        "blocks.1.1",
    ]
    shared = nn.Sequential(net.first, net.first)
    assert len(list(shared.modules())) == 2
    assert len(list(shared.named_modules(remove_duplicate=False))) == 3
    assert len(list(shared.parameters())) == 2
    assert len(list(shared.named_parameters(remove_duplicate=False))) == 4
    assert list(shared.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [n for n, _ in net.named_parameters(prefix="net")][0] == "net.scale"
    assert len(list(net.buffers())) == 2 and len(list(net.children())) == 2


def test_get_and_set_submodule():
    net = Net()
    assert net.get_submodule("blocks.1.0") is net.blocks[1][0]
    assert net.get_submodule("") is net
    assert net.get_parameter("blocks.0.1.weight") is net.blocks[0][1].weight
    assert net.get_buffer("mean") is net.mean
    net.set_submodule("blocks.1.0", nn.Tanh())
    assert isinstance(net.blocks[1][0], nn.Tanh)


def test_apply_goes_from_the_leaves_up():
    visited = []
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert net.apply(lambda m: visited.append(type(m).__name__)) is net
    assert visited == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_train_and_eval():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_requires_grad_and_zero_grad():
    net = Net()
    net(minigrad.randn(2, 3)).sum().backward()
    grad = net.first.weight.grad
    net.zero_grad(set_to_none=False)
    assert not bool(net.first.weight.grad.any())
    assert net.first.weight.grad.shape == grad.shape
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(minigrad.randn(2, 3)).requires_grad


def test_dtypes():
    net = Net()
    net.register_buffer("count", minigrad.tensor(3))
    weight = net.first.weight
    net(minigrad.randn(2, 3)).sum().backward()
    for change, dtype in (
        (lambda: net.double(), minigrad.float64),
        (lambda: net.half(), minigrad.float16),
        (lambda: net.float(), minigrad.float32),
        (lambda: net.to(minigrad.float64), minigrad.float64),
        (lambda: net.to("cpu", dtype=minigrad.float32), minigrad.float32),
        (lambda: net.to(minigrad.zeros(1, dtype=minigrad.float64)), minigrad.float64),
        (lambda: net.type(minigrad.float32), minigrad.float32),
    ):
        if dtype is minigrad.float32:
            net.count = minigrad.tensor(3)
        assert change() is net
        assert net.first.weight is weight  # an optimizer still holds it
        assert weight.dtype == dtype and weight.grad.dtype == dtype and net.mean.dtype == dtype
        assert weight.is_leaf and weight.requires_grad
    assert net.cpu() is net
    net.count = minigrad.tensor(3)
    assert net.double().count.dtype == minigrad.int64


# -- state -----------------------------------------------------------------------------------------


def test_state_dict():
    net = Net()
    state = net.state_dict()
    assert list(state) == KEYS
    assert type(state) is OrderedDict
    assert not state["first.weight"].requires_grad
    assert state["first.weight"].data_ptr() == net.first.weight.data_ptr()
    assert net.state_dict(keep_vars=True)["first.weight"] is net.first.weight
    assert list(net.state_dict(prefix="net."))[0] == "net.scale"
    assert list(net.state_dict(OrderedDict(), "p."))[0] == "p.scale"
    assert state._metadata["first"] == {"version": 1}


def test_load_state_dict():
    source, target = Net(), Net()
    result = target.load_state_dict(source.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert result.missing_keys == [] and result.unexpected_keys == []
    for a, b in zip(source.parameters(), target.parameters(), strict=True):
        assert bool((a == b).all()) and a.data_ptr() != b.data_ptr()
    state = source.state_dict()
    del state["mean"]
    state["more"] = minigrad.zeros(1)
    result = target.load_state_dict(state, strict=False)
    assert result.missing_keys == ["mean"] and result.unexpected_keys == ["more"]
    assert "missing_keys=['mean']" in repr(result)


def test_a_failed_load_changes_nothing():
    source, target = Net(), Net()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    state = source.state_dict()
    for fault in (
        lambda s: s.pop("blocks.1.1.bias"),
        lambda s: s.update(unknown=minigrad.zeros(1)),
        lambda s: s.update({"blocks.1.1.bias": minigrad.zeros(5)}),
        lambda s: s.update({"blocks.1.1.bias": "text"}),
    ):
        for assign in (False, True):
            broken = OrderedDict(state)
            fault(broken)
            kept = dict(target.named_parameters())
            with pytest.raises(RuntimeError, match="loading state_dict for Net"):
                target.load_state_dict(broken, assign=assign)
            assert dict(target.named_parameters()) == kept
            for key, value in target.state_dict().items():
                assert bool((value == before[key]).all()), key
    broken = OrderedDict(state, **{"blocks.1.1.bias": minigrad.zeros(5)})
    with pytest.raises(RuntimeError, match="size mismatch for blocks.1.1.bias"):
        target.load_state_dict(broken, strict=False)


def test_load_lists_every_fault():
    state = Net().state_dict()
    del state["scale"]
    state["new"] = minigrad.zeros(1)
    state["first.weight"] = minigrad.zeros(3, 3)
    with pytest.raises(RuntimeError) as caught:
        Net().load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "scale". \n'
        '\tUnexpected key(s) in state_dict: "new". \n'
        "\tsize mismatch for first.weight: copying a param with shape torch.Size([3, 3]) from "
        "checkpoint, the shape in current model is torch.Size([4, 3])."
    )


def test_load_with_assign():
    source, target = Net(), Net()
    state = source.double().state_dict()
    target.load_state_dict(state, assign=True)
    assert target.first.weight.dtype == minigrad.float64
    assert isinstance(target.first.weight, nn.Parameter) and target.first.weight.requires_grad
    assert target.first.weight.data_ptr() == source.first.weight.data_ptr()


def test_load_casts_to_the_model_s_dtype():
    target = nn.Linear(2, 2)
    target.load_state_dict(nn.Linear(2, 2).double().state_dict())
    assert target.weight.dtype == minigrad.float32


def test_state_hooks():
    net = nn.Linear(2, 2)
    calls = []
    handles = [
        net.register_state_dict_pre_hook(lambda m, prefix, keep: calls.append(("pre", prefix))),
        net.register_state_dict_post_hook(lambda m, s, prefix, meta: s.update(extra=1)),
        net.register_load_state_dict_pre_hook(lambda m, s, *rest: s.pop("extra")),
        net.register_load_state_dict_post_hook(lambda m, keys: calls.append(("loaded", m is net))),
    ]
    state = net.state_dict()
    assert state["extra"] == 1
    net.load_state_dict(state)
    assert calls == [("pre", ""), ("loaded", True)]
    for handle in handles:
        handle.remove()
    assert "extra" not in net.state_dict()


def test_a_post_hook_may_forgive_missing_keys():
    net = nn.Linear(2, 2)
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    net.load_state_dict({"weight": minigrad.ones(2, 2)})
    assert bool((net.weight == 1).all())
    other = nn.Linear(2, 2)
    before = other.weight.detach().clone()
    other.register_load_state_dict_post_hook(lambda m, keys: None)
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({"weight": minigrad.ones(2, 2)})
    assert bool((other.weight == before).all())


def test_a_parent_s_hook_may_rename_keys_of_children():
    net = nn.Sequential(nn.Linear(2, 2))

    def rename(state_dict, prefix, *rest):
        for key in list(state_dict):
            state_dict[key.replace("old", "0")] = state_dict.pop(key)

    net._register_load_state_dict_pre_hook(rename)
    net.load_state_dict({"old.weight": minigrad.ones(2, 2), "old.bias": minigrad.zeros(2)})
    assert bool((net[0].weight == 1).all())


def test_overridden_load_from_state_dict():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *rest):
            if prefix + "w" in state_dict:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
            super()._load_from_state_dict(state_dict, prefix, *rest)

    net = nn.Sequential(Renamed(2, 2, bias=False))
    net.load_state_dict({"0.w": minigrad.ones(2, 2)})
    assert bool((net[0].weight == 1).all())


def test_extra_state():
    class Counter(nn.Module):
        steps = 0

        def get_extra_state(self):
            return {"steps": self.steps}

        def set_extra_state(self, state):
            self.steps = state["steps"]

    counter = Counter()
    counter.steps = 5
    state = nn.Sequential(counter).state_dict()
    assert state == {"0._extra_state": {"steps": 5}}
    other = nn.Sequential(Counter())
    other.load_state_dict(state)
    assert other[0].steps == 5
    with pytest.raises(RuntimeError, match="_extra_state"):
        other.load_state_dict({})


def test_scalars_of_one_element_load():
    module = nn.Module()
    module.t = nn.Parameter(minigrad.tensor(1.0))
    module.load_state_dict({"t": minigrad.tensor([3.0])})
    assert module.t.item() == 3.0


def test_deepcopy_and_pickle():
    net = Net()
    net.register_forward_hook(print_nothing)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(again) == repr(net)
        assert list(again.state_dict()) == KEYS
        assert again.scale is again.also and again.scale is not net.scale
        for a, b in zip(net.parameters(), again.parameters(), strict=True):
            assert type(b) is nn.Parameter and b.requires_grad
            assert bool((a == b).all()) and a.data_ptr() != b.data_ptr()
        assert len(again._forward_hooks) == 1
        again(minigrad.randn(2, 3)).sum().backward()
        assert net.first.weight.grad is None


def print_nothing(module, args, output):
    """A hook that can be pickled."""


# -- hooks -----------------------------------------------------------------------------------------


def test_forward_hooks():
    layer = nn.Identity()
    seen = []
    pre = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    post = layer.register_forward_hook(lambda m, args, out: seen.append((args, out)))
    x = minigrad.ones(2)
    assert layer(x).tolist() == [2, 2]
    assert seen[0][0][0].tolist() == [2, 2] and seen[0][1].tolist() == [2, 2]
    pre.remove()
    double = layer.register_forward_hook(lambda m, args, out: out * 2)
    layer.register_forward_hook(lambda m, args, out: out + 1, prepend=True)
    assert layer(x).tolist() == [4, 4]
    with post:
        pass
    double.remove()
    assert layer(x).tolist() == [2, 2]
    assert len(seen) == 2


def test_hooks_with_kwargs():
    class Scaled(nn.Module):
        def forward(self, x, scale=1):
            return x * scale

    layer = Scaled()
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"scale": 3 * kwargs["scale"]}), with_kwargs=True
    )
    layer.register_forward_hook(
        lambda m, args, kwargs, out: out + kwargs["scale"], with_kwargs=True
    )
    assert layer(minigrad.ones(1), scale=2).item() == 12
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        layer(minigrad.ones(1), scale=2)


def test_always_called_hook():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    layer = Broken()
    seen = []
    layer.register_forward_hook(lambda m, a, out: seen.append(("always", out)), always_call=True)
    layer.register_forward_hook(lambda m, a, out: seen.append(("never", out)))
    with pytest.raises(ValueError, match="broken"):
        layer(1)
    assert seen == [("always", None)]


def test_full_backward_hook():
    layer = nn.Linear(3, 2)
    seen = []
    handle = layer.register_full_backward_hook(lambda m, gi, go: seen.append((m, gi, go)))
    x = minigrad.randn(4, 3, requires_grad=True)
    layer(x).sum().backward()
    module, grad_input, grad_output = seen[0]
    assert module is layer
    assert bool((grad_output[0] == 1).all()) and grad_output[0].shape == (4, 2)
    assert bool((grad_input[0] == x.grad).all())
    layer(x.detach()).sum().backward()  # no input wants a gradient: the hook runs all the same
    assert seen[1][1] == (None,)
    handle.remove()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    x.grad, before = None, x.grad
    layer(x).sum().backward()
    assert bool((x.grad == before * 2).all())
    layer.zero_grad()
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    layer(x).sum().backward()
    assert minigrad.allclose(layer.bias.grad, minigrad.full((2,), 12.0))


def test_backward_hooks_match_torch():
    torch = pytest.importorskip("torch")
    results = []
    for lib in (minigrad, torch):

        class Two(lib.nn.Module):
            def forward(self, x, y, flag):
                return x * y, x + 1, flag

        seen = []
        module = Two()
        module.register_full_backward_hook(lambda m, gi, go: seen.append([gi, go]))
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = lib.tensor([3.0, 4.0], requires_grad=True)
        first, second, _ = module(x * 2, y * 2, "flag")
        (first.sum() * 5 + second.sum()).backward()
        shown = [[None if g is None else g.tolist() for g in part] for part in seen[0]]
        results.append((shown, x.grad.tolist(), y.grad.tolist()))
    assert results[0] == results[1]


# -- printing --------------------------------------------------------------------------------------


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (blocks): ModuleList(\n"
        "    (0-1): 2 x Sequential(\n"
        "      (0): ReLU()\n"
        "      (1): Linear(in_features=4, out_features=4, bias=True)\n"
        "    )\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Sequential()) == "Sequential()"

    class Talkative(nn.Sequential):
        def extra_repr(self):
            return "one\ntwo"

    assert repr(Talkative(nn.ReLU())) == "Talkative(\n  one\n  two\n  (0): ReLU()\n)"


def test_dir():
    names = dir(Net())
    assert {"first", "scale", "mean", "forward", "training"} <= set(names)
    assert not any(name[0].isdigit() for name in dir(nn.Sequential(nn.ReLU())))


# -- errors name the layer -------------------------------------------------------------------------


def test_an_error_names_the_path_of_the_layer():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, x):
            return self.net(x)

    outer = Outer()
    outer.net.blocks[1][1] = nn.Linear(7, 4)
    with pytest.raises(RuntimeError) as caught:
        outer(minigrad.randn(2, 3))
    assert caught.value.__notes__ == [
        "in Outer.net.blocks.1.1 = Linear(in_features=7, out_features=4, bias=True)"
    ]
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(2, 2)(minigrad.zeros(3))
    assert caught.value.__notes__ == ["in Linear(in_features=2, out_features=2, bias=True)"]


def test_an_error_names_a_layer_that_is_not_registered():
    class Hiding(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = (nn.Linear(2, 2),)

        def forward(self, x):
            return self.layers[0](x)

    with pytest.raises(RuntimeError) as caught:
        Hiding()(minigrad.zeros(3))
    assert caught.value.__notes__[0].startswith("in Hiding.<Linear, not registered> = Linear(")


# -- containers ------------------------------------------------------------------------------------


def test_sequential():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3 and list(net) == [a, b, c]
    assert net[0] is a and net[-1] is c
    part = net[1:]
    assert isinstance(part, nn.Sequential) and list(part._modules) == ["1", "2"]
    named = nn.Sequential(OrderedDict(one=a, two=b))
    assert (
        named.one is a and named[1] is b and list(named.state_dict()) == ["one.weight", "one.bias"]
    )
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    assert net.append(b) is net and len(net) == 4
    net.insert(1, b)
    assert list(net._modules) == ["0", "1", "2", "3", "4"] and net[1] is b
    del net[1:3]
    assert list(net) == [a, c, b]
    assert net.pop(0) is a and list(net._modules) == ["0", "1"]
    assert list(nn.Sequential(a) + nn.Sequential(b)) == [a, b]
    assert list(nn.Sequential(a, b) * 2) == [a, b, a, b]
    both = nn.Sequential(a)
    both += nn.Sequential(b)
    both *= 2
    assert list(both) == [a, b, a, b]
    assert list(nn.Sequential().extend([a, b])) == [a, b]
    for action, error in (
        (lambda: net[5], IndexError),
        (lambda: net + [a], ValueError),
        (lambda: net * 0, ValueError),
        (lambda: net * 1.5, TypeError),
        (lambda: net.insert(9, a), IndexError),
        (lambda: net.insert(0, 3), AssertionError),
        (lambda: nn.Sequential(3), TypeError),
    ):
        with pytest.raises(error):
            action()


def test_module_list():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    modules = nn.ModuleList([a, b])
    modules.append(c)
    modules.extend([a])
    modules += [b]
    assert list(modules) == [a, b, c, a, b] and len(modules) == 5
    assert isinstance(modules[1:3], nn.ModuleList) and list(modules[1:3]) == [b, c]
    modules.insert(0, c)
    assert modules[0] is c and modules[-1] is b
    del modules[0]
    assert modules.pop(-1) is b
    modules[0] = c
    assert list(modules + [a]) == [c, b, c, a, a]
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        modules.extend(3)
    with pytest.raises(IndexError):
        modules[10]
    with pytest.raises(NotImplementedError):
        modules(1)


def test_module_dict():
    a, b = nn.ReLU(), nn.Tanh()
    modules = nn.ModuleDict({"a": a, "b": b})
    assert modules["a"] is a and "b" in modules and len(modules) == 2
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert list(modules.values()) == [a, b] and list(modules.items()) == [("a", a), ("b", b)]
    modules.update([("c", a)])
    modules["d"] = b
    assert modules.pop("c") is a
    del modules["a"]
    assert list(modules) == ["b", "d"]
    modules.clear()
    assert len(modules) == 0
    for wrong, error in ((3, TypeError), ([1], TypeError), ([(1, 2, 3)], ValueError)):
        with pytest.raises(error):
            modules.update(wrong)


def test_parameter_list():
    params = nn.ParameterList([minigrad.zeros(2, 3), nn.Parameter(minigrad.ones(1))])
    params.append(minigrad.zeros(1))
    params += [5]
    assert len(params) == 4 and all(isinstance(p, nn.Parameter) for p in params[:3])
    assert isinstance(params[:2], nn.ParameterList) and params[-1] == 5
    assert list(params.state_dict()) == ["0", "1", "2"]
    params[0] = minigrad.ones(1)
    assert isinstance(params[0], nn.Parameter)
    with pytest.raises(TypeError):
        params.extend(minigrad.zeros(3))
    with pytest.raises(RuntimeError, match="should not be called"):
        params()
    with pytest.raises(IndexError):
        params[9]


def test_parameter_dict():
    params = nn.ParameterDict({"b": minigrad.zeros(2, 3), "a": minigrad.ones(1)})
    assert list(params) == ["a", "b"] and isinstance(params["a"], nn.Parameter)
    params["c"] = minigrad.zeros(1)
    assert list(params.state_dict()) == ["a", "b", "c"]
    assert params.get("z", 3) == 3 and params.get("a") is params["a"]
    assert params.setdefault("d", minigrad.zeros(1)) is params["d"]
    assert params.popitem()[0] == "d"
    assert list(reversed(params)) == ["c", "b", "a"]
    assert list(params.copy()) == ["a", "b", "c"]
    assert list(params | nn.ParameterDict({"x": minigrad.zeros(1)})) == ["a", "b", "c", "x"]
    assert set(params.fromkeys(["u"], 5).items()) == {("u", 5)}
    del params["a"]
    assert "a" not in params and len(params) == 2
    with pytest.raises(KeyError):
        params["a"]
    with pytest.raises(TypeError, match="not a string"):
        params[3] = minigrad.zeros(1)
    params.clear()
    assert len(params) == 0


def test_container_reprs_are_torch_s():
    torch = pytest.importorskip("torch")

    def make(lib):
        return [
            lib.nn.ParameterList([lib.zeros(2, 3), lib.zeros(1).double()]),
            lib.nn.ParameterDict({"a": lib.zeros(2, 3), "b": 5}),
            lib.nn.ModuleDict({"a": lib.nn.ReLU(), "b": lib.nn.Sequential(lib.nn.Tanh())}),
            lib.nn.ModuleList([lib.nn.ReLU(), lib.nn.ReLU(), lib.nn.Tanh(), lib.nn.ReLU()]),
            lib.nn.ModuleList(),
        ]

    for ours, theirs in zip(make(minigrad), make(torch), strict=True):
        assert re.sub(r" \(cuda:0\)|cuda\.", "", repr(ours)) == repr(theirs)


def test_every_public_class_has_a_docstring():
    for name, value in vars(nn).items():
        if inspect.isclass(value):
            assert value.__doc__, name
