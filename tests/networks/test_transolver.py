"""Physics attention against its formula, point by point."""

import torch

from surrogate.networks.transolver import PhysicsAttention


def test_tokens_are_weighted_means_and_attend_to_each_other():
    torch.manual_seed(0)
    layer = PhysicsAttention(width=6, heads=2, slices=3).double()
    x = torch.randn(1, 5, 6, dtype=torch.float64)
    weights = torch.rand(5, dtype=torch.float64)
    weights /= weights.sum()
    share = layer.assign(x).reshape(5, 2, 3).softmax(dim=-1)
    values = layer.values(x).reshape(5, 2, 3)
    expected = torch.zeros(5, 2, 3, dtype=torch.float64)
    for head in range(2):
        tokens = torch.stack(
            [
                sum(weights[i] * share[i, head, m] * values[i, head] for i in range(5))
                / sum(weights[i] * share[i, head, m] for i in range(5))
                for m in range(3)
            ]
        )
        query, key, value = (tokens @ w.T for w in layer.attend.weight.chunk(3))
        tokens = torch.softmax(query @ key.T / 3**0.5, dim=-1) @ value
        expected[:, head] = share[:, head] @ tokens
    expected = layer.out(expected.reshape(1, 5, 6))
    torch.testing.assert_close(layer(x, weights), expected, rtol=1e-5, atol=1e-6)
