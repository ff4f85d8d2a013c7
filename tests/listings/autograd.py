import torch

x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = x * 2
z = (y**2).mean()
print(x, y, z, z.grad_fn is not None)
z.backward()
print(x.grad)
x.grad.zero_()
(x**3).sum().backward()
print(x.grad, x.is_leaf, y.is_leaf, y.grad_fn.name())
a = torch.tensor(2.0, requires_grad=True)
(first,) = torch.autograd.grad(a**4, a, create_graph=True)
(second,) = torch.autograd.grad(first, a)
print(first, second)
with torch.no_grad():
    print((x * 2).requires_grad)
print(x.detach(), x.detach().requires_grad)
handle = x.register_hook(lambda g: print("hook", g))
(x * x).sum().backward()
handle.remove()


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        (result,) = ctx.saved_tensors
        return grad_output * result


t = torch.tensor([0.0, 1.0], requires_grad=True)
out = Exp.apply(t)
out.backward(torch.tensor([1.0, 0.5]))
print(out, t.grad)
w = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
print(torch.autograd.gradcheck(lambda m: (m @ m).tanh(), (w,)))
print(torch.autograd.functional.jacobian(lambda v: v**2, torch.tensor([1.0, 2.0])))
print(torch.autograd.functional.hessian(lambda v: (v**3).sum(), torch.tensor([1.0, 2.0])))
try:
    z.backward()
except RuntimeError:
    print("a second backward needs retain_graph")
try:
    x += 1
except RuntimeError:
    print("a leaf can't change in place")
h = torch.ones(2, requires_grad=True)
m = h * 3
m.retain_grad()
m.sum().backward()
print(m.grad, h.grad)
