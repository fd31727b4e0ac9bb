"""The hooks. A plugin implements any of them and returns data; it registers nothing by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.types import Backbone, BackboneFamily, Command, DatasetFormat, Head, RecipeFile

hookspec = pluggy.HookspecMarker("advisor")
hookimpl = pluggy.HookimplMarker("advisor")


@hookspec
def advisor_backbones() -> Iterable[Backbone | BackboneFamily]:
    """Offer pretrained networks.

    Example:
        ```python
        from advisor import hookimpl
        from advisor.types import Backbone, InputSpec, Weights

        def create(pretrained):
            import timm
            return timm.create_model("test_resnet", pretrained=pretrained)

        @hookimpl
        def advisor_backbones():
            yield Backbone(
                name="my-resnet",
                create=create,
                input=InputSpec(size=160, crop_pct=0.95),
                weights=Weights(source="hub:timm/test_resnet.r160_in1k", licence="apache-2.0",
                                trained_on="ImageNet-1k"),
                architecture="test_resnet",
                summary="A very small residual network.",
            )
        ```
    """
    raise NotImplementedError


@hookspec
def advisor_heads() -> Iterable[Head]:
    """Offer classifiers on pooled features.

    Example:
        ```python
        from advisor import hookimpl
        from advisor.types import Head, Param

        def create(width, classes, hidden=64):
            from torch import nn
            return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))

        @hookimpl
        def advisor_heads():
            yield Head(
                name="two-layer",
                create=create,
                params=(Param("hidden", default=64, low=8, high=512, log=True),),
                summary="One hidden layer.",
            )
        ```
    """
    raise NotImplementedError


@hookspec
def advisor_datasets() -> Iterable[DatasetFormat]:
    """Offer ways to read labelled images.

    Example:
        ```python
        from advisor import hookimpl
        from advisor.types import DatasetFormat, Listing

        def open_squares(location):
            import io
            from PIL import Image

            def read(path):
                buffer = io.BytesIO()
                Image.new("L", (16, 16), int(path)).save(buffer, "PNG")
                return buffer.getvalue()

            paths = [str(level) for level in range(256)]
            labels = ["dark" if level < 128 else "light" for level in range(256)]
            return Listing(name="squares", paths=paths, labels=labels, read=read)

        @hookimpl
        def advisor_datasets():
            yield DatasetFormat(
                name="squares",
                recognise=lambda location: float(location == "squares:"),
                open=open_squares,
                example="squares:",
                summary="Grey squares, dark or light.",
            )
        ```
    """
    raise NotImplementedError


@hookspec
def advisor_recipes() -> Iterable[RecipeFile]:
    """Offer recipes.

    Example:
        ```python
        from advisor import hookimpl
        from advisor.types import RecipeFile

        TEXT = '''
        schema = 1
        name = "head-only"
        summary = "Train nothing but a linear classifier."
        [features]
        tap = 1.0
        [freeze]
        depth = 1.0
        '''

        @hookimpl
        def advisor_recipes():
            yield RecipeFile(name="head-only", read=lambda: TEXT)
        ```
    """
    raise NotImplementedError


@hookspec
def advisor_commands() -> Iterable[Command]:
    """Offer commands of one's own, for what belongs to a plugin and to nobody else.

    They are looked for when a word is typed that is no command of the core's.

    Example:
        ```python
        from advisor import hookimpl
        from advisor.types import Command

        def greet(arguments):
            print("Hello,", *arguments)
            return 0

        @hookimpl
        def advisor_commands():
            yield Command(name="greet", run=greet, summary="Say hello.")
        ```
    """
    raise NotImplementedError
