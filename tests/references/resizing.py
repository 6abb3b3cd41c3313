"""Cases of the family: resizing, channels last."""

_MODES = {"linear": (4,), "bilinear": (4, 3), "trilinear": (3, 2, 4)}


def _last(torch, a):
    return torch.movedim(a, 1, -1).detach().numpy()


def _resized(torch, size, **options):
    x = torch.randn(2, 3, *size["of"], requires_grad=True)
    y = torch.nn.functional.interpolate(x, size=size["to"], **options)
    weight = torch.randn_like(y)
    (gradient,) = torch.autograd.grad((weight * y).sum(), x)
    named = {"x": x, "y": y, "weight": weight, "gradient": gradient}
    return {name: _last(torch, array) for name, array in named.items()}


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    made = {}
    for mode, of in _MODES.items():
        for corners in ("corners", "cells"):
            for to, factor in (("up", 2.4), ("down", 0.7)):
                size = {"of": of, "to": [int(factor * n) for n in of]}
                made[f"{mode}-{corners}-{to}"] = _resized(
                    torch, size, mode=mode, align_corners=corners == "corners"
                )
    made["nearest-up"] = _resized(torch, {"of": (3, 4), "to": (7, 8)}, mode="nearest")
    made["nearest-down"] = _resized(torch, {"of": (5, 4), "to": (3, 2)}, mode="nearest")
    x = torch.randn(2, 8, 2, 3)
    y = torch.nn.functional.pixel_shuffle(x, 2)
    made["pixel-shuffle"] = {"x": _last(torch, x), "y": _last(torch, y)}
    return made
