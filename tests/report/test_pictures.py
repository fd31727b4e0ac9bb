import base64
import io

import numpy as np
from PIL import Image

from advisor.errors import PluginError
from advisor.report.page.pictures import SIDE, Pictures, Wanted


def encoded(size, kind="PNG"):
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(file, kind)
    return file.getvalue()


def shown(picture):
    head, _, body = picture.data.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_the_whole_image_is_shown_small_and_small_ones_pixel_by_pixel():
    (large,) = Pictures(lambda _path: encoded((400, 200), "JPEG")).make([Wanted("a", "an image")])
    assert shown(large).size == (large.width, large.height) == (SIDE, SIDE // 2)
    data = encoded((8, 8))
    (tiny,) = Pictures(lambda _path: data).make([Wanted("a", "an image")])
    assert np.array_equal(np.asarray(shown(tiny).convert("RGB")), np.asarray(Image.open(io.BytesIO(data))))


def test_what_cannot_be_read_is_said_in_its_place():
    def read(path):
        if path == "gone":
            raise FileNotFoundError(2, "No such file or directory", path)
        if path == "plugin":
            raise PluginError("the format failed")
        return b"no image" if path == "broken" else encoded((20, 20))

    found = Pictures(read).make([Wanted(path, path) for path in ("gone", "fine", "broken", "plugin")])
    assert [bool(picture.data) for picture in found] == [False, True, False, False]
    assert "No such file" in found[0].flaw
    assert found[2].flaw == "not an image"
    assert found[3].flaw == "the format failed"


def test_pictures_end_where_the_page_would_grow_too_large():
    found = Pictures(lambda _path: encoded((100, 100)), most_bytes=30_000).make([Wanted(str(i), "x") for i in range(9)])
    assert sum(len(picture.data) for picture in found) <= 30_000
    assert found[0].data
    assert "too large" in found[-1].flaw
