"""Flip, scale, shift and tint photos at random.

The numbers are drawn on the CPU, and applied where the network is.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's convention


def draw(count: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return affine transformations `[n, 2, 3]` and color factors `[n, 3, 1, 1]`."""

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=random)

    flip = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    zoom = between(0.8, 1.1)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = flip * zoom, zoom
    affine[:, :, 2] = between(-0.12, 0.12, 2)
    return affine, between(0.8, 1.2, 1, 1, 1) * between(0.9, 1.1, 3, 1, 1)


def apply(colors: torch.Tensor, affine: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return transformed photos, colors from 0 to 255, `[n, 3, size, size]`; new borders are white."""
    grid = F.affine_grid(affine, list(colors.shape), align_corners=False)
    moved = F.grid_sample(255 - colors, grid, align_corners=False)  # inverted, so that padding is white
    return (255 - moved * factors).clamp(0, 255)
