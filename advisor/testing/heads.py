"""What a head has to be."""

from __future__ import annotations

import inspect
import json
import math
from typing import TYPE_CHECKING

from advisor.testing.checking import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from advisor.types import Head, Param, Scalar

_WIDTH, _EACH = 16, 12  # of features; images of a class
_STEPS = 200  # by gradient, of a head without a closed form


def parameters_are_sound(head: Head) -> None:
    """Its parameters are plain values with defaults inside their bounds, and its summary says what it is."""
    ask(head.summary, "it has no summary")
    names = [param.name for param in head.params]
    ask(len(names) == len(set(names)), f"two parameters have one name: {', '.join(names)}")
    for param in head.params:
        ask(param.name.isidentifier(), f"`{param.name}` cannot be a keyword argument")
        json.dumps([param.default, param.low, param.high, *param.choices])
        if param.choices:
            ask(param.default in param.choices, f"{param.name}: {param.default!r} is not among its choices")
            continue
        if isinstance(param.default, bool | str):
            continue
        ask(param.low is not None and param.high is not None, f"{param.name}: a number needs low and high")
        assert param.low is not None
        assert param.high is not None
        ask(
            param.low <= param.default <= param.high,
            f"{param.name}: {param.default} is not in {param.low}..{param.high}",
        )
        ask(not param.log or param.low > 0, f"{param.name}: a logarithmic range must begin above 0")


def maps_features_to_logits(head: Head) -> None:
    """For 2 and for 100 classes, and at the ends of every parameter, it maps (B, width) to finite (B, classes)."""
    import torch

    for classes in (2, 100):
        for values in _settings(head):
            out = head.create(_WIDTH, classes, **values)(_read(head, torch.randn(5, _WIDTH)))
            ask(
                tuple(out.shape) == (5, classes),
                f"(5, {_WIDTH}) gives {tuple(out.shape)} for {classes} classes, {values}",
            )
            ask(out.isfinite().all(), f"it answers with what is not a finite number, {values}")


def every_weight_gets_a_gradient(head: Head) -> None:
    """Its loss is one finite number, and every parameter of the module has a gradient after it."""
    import torch.nn.functional as F  # noqa: N812 - torch's own convention

    features, labels = _clouds(3)
    module = head.create(_WIDTH, 3, **_defaults(head))
    features = _read(head, features)
    loss = (head.loss or F.cross_entropy)(module(features), labels)
    ask(loss.ndim == 0 and loss.isfinite(), f"the loss is {tuple(loss.shape)}: {loss}")
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    ask(gradients, "it has no parameters, so nothing can be learnt")
    without = [name for name, gradient in gradients.items() if gradient is None]
    ask(not without, f"no gradient reaches {', '.join(without)}")
    finite = all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients.values())
    ask(finite, "a gradient is not finite")


def learns_what_is_easy(head: Head) -> None:
    """It tells apart three well separated clouds: by its own fit, or by 200 gradient steps."""
    import torch
    import torch.nn.functional as F  # noqa: N812 - torch's own convention

    features, labels = _clouds(3)
    features = _read(head, features)
    torch.manual_seed(0)
    module = head.create(_WIDTH, 3, **_defaults(head))
    if head.fit is not None:
        head.fit(module, features, labels, **_defaults(head))
    else:
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            (head.loss or F.cross_entropy)(module(features), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    module.eval()
    with torch.no_grad():
        right = float((module(features).argmax(1) == labels).float().mean())
    ask(right >= 0.9, f"it gets {right:.0%} of them")


def fits_whatever_classes_there_are(head: Head) -> None:
    """Its fit, if it has one, bears a class without images and weights, changes no input, and gives the same twice."""
    import torch

    if head.fit is None:
        return
    features, labels = _clouds(3)
    labels = torch.where(labels == 1, 0, labels)
    more: dict[str, object] = _defaults(head)
    if "weights" in inspect.signature(head.fit).parameters:
        more["weights"] = torch.ones(len(labels))
    answers, given = [], (features.clone(), labels.clone())
    for _ in range(2):
        torch.manual_seed(0)
        module = head.create(_WIDTH, 3, **_defaults(head))
        head.fit(module, features, labels, **more)
        module.eval()
        with torch.no_grad():
            answers.append(module(features))
    same = torch.equal(features, given[0]) and torch.equal(labels, given[1])
    ask(same, "its fit changes the features or labels that it is given, which others read after it")
    ask(answers[0].isfinite().all(), "with a class that has no images it answers with what is not finite")
    ask(torch.allclose(answers[0], answers[1], atol=1e-5), "fitted twice on the same features it answers differently")


def is_linear_if_it_says_so(head: Head) -> None:
    """If `linear` is set, its module is one `torch.nn.Linear`, which timm's own classifier can hold."""
    from torch import nn

    module = head.create(_WIDTH, 3, **_defaults(head))
    ask(isinstance(module, nn.Linear) or not head.linear, f"it says linear and is a {type(module).__name__}")


def state_is_whole(head: Head) -> None:
    """Its `state_dict` loads into another copy, which then gives the same answers."""
    import torch

    features = _read(head, _clouds(3)[0])
    first, second = (head.create(_WIDTH, 3, **_defaults(head)).eval() for _ in range(2))
    second.load_state_dict(first.state_dict(), strict=True)
    with torch.no_grad():
        ask(torch.equal(first(features), second(features)), "two copies with the same state answer differently")


def learns_multilabel_if_it_says_so(head: Head) -> None:
    """If `multilabel` is set, it learns labels (n, classes) of 0 and 1: σ of a logit is its label's probability."""
    import torch
    import torch.nn.functional as F  # noqa: N812 - torch's own convention

    if not head.multilabel:
        return
    features, kinds = _clouds(3)
    features = _read(head, features)
    truth = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])[kinds]
    torch.manual_seed(0)
    module = head.create(_WIDTH, 2, **_defaults(head))
    loss = head.loss or F.binary_cross_entropy_with_logits
    if head.fit is not None:
        head.fit(module, features, truth, **_defaults(head))
    else:
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            loss(module(features), truth).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    module.eval()
    with torch.no_grad():
        right = float(((module(features) > 0) == truth.bool()).float().mean())
        ask(loss(module(features), truth).isfinite(), "its loss of several labels is not finite")
    ask(right >= 0.9, f"it gets {right:.0%} of several labels, at a probability of one half")


CHECKS = (
    parameters_are_sound, maps_features_to_logits, every_weight_gets_a_gradient, learns_what_is_easy,
    learns_multilabel_if_it_says_so, fits_whatever_classes_there_are, is_linear_if_it_says_so, state_is_whole,
)  # fmt: skip


def _defaults(head: Head) -> dict[str, object]:
    return {param.name: param.default for param in head.params}


def _settings(head: Head) -> Iterator[dict[str, object]]:
    """The defaults, and the defaults with one parameter at each of its ends or choices."""
    yield _defaults(head)
    for param in head.params:
        for value in _ends(param):
            yield _defaults(head) | {param.name: value}


def _ends(param: Param) -> tuple[Scalar, ...]:
    if param.choices:
        return param.choices
    if isinstance(param.default, bool | str) or param.low is None or param.high is None:
        return ()
    if isinstance(param.default, int):
        return math.ceil(param.low), math.floor(param.high)
    return param.low, param.high


def _read(head: Head, features: Tensor) -> Tensor:
    """Features as the head reads them: itself, or at several positions (n, 5, width)."""
    return features[:, None].expand(-1, 5, -1).contiguous() if head.tokens else features


def _clouds(classes: int) -> tuple[Tensor, Tensor]:
    """Features (n, width) around well separated centres, about as long as one, and labels (n,)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat_interleave(_EACH)
    centres = 4 * torch.eye(_WIDTH)[:classes]
    features = centres[labels] + torch.randn(len(labels), _WIDTH, generator=generator)
    return features / _WIDTH**0.5, labels
