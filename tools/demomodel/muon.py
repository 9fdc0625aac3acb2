"""Muon (Keller Jordan, 2024): momentum whose matrix is replaced by the nearest orthogonal one, found with a few
Newton-Schulz steps. A small model on a small token budget learns in far fewer steps with it than with AdamW alone.
Embedding and norms stay with AdamW, as its author advises.
"""
import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the published quintic: steep at zero, so five steps are enough
ITERATIONS = 5


def orthogonal(g):
    """About U V^T of g = U S V^T."""
    a, b, c = COEFFICIENTS
    tall = g.shape[0] > g.shape[1]
    x = g.T if tall else g
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """For matrices only. lr is the spectral size of one update of a square matrix."""

    def __init__(self, params, lr=0.02, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                m = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(m, group["momentum"]))
                p.add_(update, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)
